"""Language modelling: conversations with loss on the answers, or plain text with loss on everything."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, Self

import torch
import torch.nn.functional as F

from tunesmith.data.passes import split_passes
from tunesmith.data.row import Row, Skip
from tunesmith.errors import UserError
from tunesmith.tasks.language.answer_frame import decoded
from tunesmith.tasks.language.conversations import EncodedConversation, encode_conversation, encode_text_row
from tunesmith.tasks.language.examples import (
    frame_of,
    hits,
    language_example,
    last_supervised,
    layout_of,
    opening_of,
    packed_batch,
    tokens_and_marks,
)
from tunesmith.tasks.language.generation import can_share, end_tokens_of, generate, prefix_cache
from tunesmith.tasks.language.packing import padded, shared_prefix_length
from tunesmith.tasks.language.positions import add_by_position
from tunesmith.tasks.language.rendering import Refused
from tunesmith.tasks.language.teacher_forced import decodes_piecewise, known_answer_of, prediction_of
from tunesmith.tasks.task import Batch, Example, Loss, Scored, Task, TaskInputs

if TYPE_CHECKING:
    from transformers import DynamicCache, PreTrainedTokenizerBase


@dataclass(frozen=True, slots=True)
class CausalLM(Task):
    """The task ``causal-lm``.

    Attributes:
        tokenizer: a fast tokenizer.
        max_length: most tokens of an example.
        overflow: what happens to longer ones: ``error``, ``drop`` or ``truncate``.
        loss_on: ``assistant``, ``last_assistant`` or ``all``.
        template: whether conversations go through the chat template; else they are joined as they are.
        packed: one row without padding (see ``packing.py``), or rows padded to the longest.
        max_new_tokens: most tokens of a generated answer.
        batch_size: answers generated at a time.
        tokens_per_pass: most tokens of a pass in evaluation, padding included, beside a shared opening.
        rows_per_pass: most examples of a pass in evaluation.
        positions: whether scores tell losses by position.
    """

    tokenizer: PreTrainedTokenizerBase
    max_length: int
    overflow: Literal["error", "drop", "truncate"] = "error"
    loss_on: Literal["assistant", "last_assistant", "all"] = "assistant"
    template: bool = True
    packed: bool = True
    max_new_tokens: int = 64
    batch_size: int = 32
    tokens_per_pass: int = 768
    rows_per_pass: int = 64
    positions: bool = False

    @classmethod
    def build(cls, inputs: TaskInputs) -> Self:
        """As a recipe sets it; a finished model without a chat template continues its prompt as it is."""
        recipe, tokenizer = inputs.recipe, inputs.processor
        templated = recipe.model.chat_template != "none" and (
            bool(tokenizer.chat_template) or not inputs.finished
        )
        return cls(
            tokenizer,
            max_length=inputs.max_length,
            overflow=recipe.data.overflow,
            loss_on=recipe.data.loss_on,
            template=templated,
            packed=inputs.packed,
            max_new_tokens=recipe.eval.generate.max_new_tokens,
            batch_size=recipe.eval.generate.batch_size,
            rows_per_pass=recipe.eval.batch_size,
            positions=recipe.eval.positions,
        )

    def fingerprint(self) -> Mapping[str, Any]:
        """Lengths, the loss, and whether there is a template."""
        return {name: getattr(self, name) for name in ("max_length", "overflow", "loss_on", "template")}

    def encode(self, row: Row) -> Example | Skip:
        """Tokens of a row, which of them carry loss, and where the last answer begins."""
        try:
            found = self._encoded(row)
        except Refused as refused:
            return Skip(row.id, "malformed", refused.what)
        except UserError as error:
            raise replace(error, what=f"row `{row.id}`: {error.what}") from error
        if not any(found.marks[1:]):
            return Skip(row.id, "no_loss", "no token carries loss: there is no answer, or an empty one")
        return (
            language_example(row, found) if len(found.ids) <= self.max_length else self._too_long(row, found)
        )

    def collate(self, examples: Sequence[Example]) -> Batch:
        """Packed: one row [1, T]; padded: [B, T]. ``keep``, ``labels`` and ``owners`` are [K]."""
        if self.packed:
            return packed_batch(examples)
        tensors = padded(*tokens_and_marks(examples), self._pad_token())
        return Batch(tensors, len(tensors["labels"]))

    def loss(self, model: Any, batch: Batch) -> Loss:
        """Cross-entropy in nats, summed over supervised tokens."""
        logits = self._supervised_logits(model, batch)
        return Loss(F.cross_entropy(logits.float(), batch["labels"], reduction="sum"))

    @torch.no_grad()
    def score(
        self, model: Any, examples: Sequence[Example], predict: bool, only_equal: Container[str] = ()
    ) -> list[Scored]:
        """Loss of each example; with ``predict``, its greedy answer too.

        The pass that computes the loss also tells which answers the model would have given word for
        word: where its first choice is the reference's next token, all the way to the end mark. Greedy
        generation would walk the same path, so only the other answers are generated, from where they leave
        it. Of those in ``only_equal``, one that has left it for good is told so far, and then ``…``.

        Raises:
            UserError: if answers are asked for and a row is plain text.
        """
        losses, choices, given = self._losses(model, examples)
        correct = [hits(example, chosen) for example, chosen in zip(examples, choices, strict=True)]
        answers: Sequence[str | None] = [None] * len(examples)
        if predict:
            answers = self._predictions(model, examples, choices, only_equal)
        return [
            Scored(
                id=example["id"],
                loss=losses[i],
                count=example["count"],
                correct=correct[i],
                prediction=answers[i],
                reference=example["reference"],
                input=example["input"],
                given=given[i],
            )
            for i, example in enumerate(examples)
        ]

    def show(self, example: Example) -> list[tuple[str, bool]]:
        """Its tokens, and whether each carries loss."""
        pairs = zip(example["input_ids"], example["supervised"], strict=True)
        return [(str(self.tokenizer.decode([token])), bool(mark)) for token, mark in pairs]

    def tokens_at_once(self) -> int:
        """Most tokens of an evaluation pass."""
        return self.tokens_per_pass

    def computed_length(self, example: Example) -> int:
        """A packed example ends before its last supervised token."""
        return last_supervised(example) if self.packed else int(example["length"])

    def shared_length(self, examples: Sequence[Example]) -> int:
        """Tokens of the opening that packed examples share."""
        return opening_of(examples) if self.packed else 0

    def answers(self, model: Any, prompts: Sequence[Sequence[int]]) -> list[str]:
        """Greedy answers to tokenised prompts, as text."""
        return [self._text(row) for row in self._generated(model, prompts)]

    def _generated(self, model: Any, prompts: Sequence[Sequence[int]]) -> list[list[int]]:
        rows: list[list[int]] = generate(
            model,
            prompts,
            end_tokens=self._end_tokens(model),
            pad_token=self._pad_token(),
            max_new_tokens=self.max_new_tokens,
            batch_size=self.batch_size,
        )
        return rows

    def _predictions(
        self,
        model: Any,
        examples: Sequence[Example],
        choices: Sequence[Sequence[int]],
        only_equal: Container[str],
    ) -> list[str]:
        without = next((example["id"] for example in examples if not example["reference"]), None)
        if without is not None:
            raise UserError(
                f"row `{without}` is plain text, with no answer that a generated one could be compared with",
                "eval.metrics",
                "measure `loss`, `perplexity` or `token_accuracy`, or give rows with `prompt` and "
                "`completion`",
            )
        ends, piecewise = self._end_tokens(model), decodes_piecewise(self.tokenizer)
        told = [
            known_answer_of(example, chosen, ends, self.max_new_tokens)
            for example, chosen in zip(examples, choices, strict=True)
        ]
        known = [
            prediction_of(
                one,
                example["reference"],
                self._text,
                frame_of(example),
                only_equal=piecewise and example["id"] in only_equal,
            )
            for example, one in zip(examples, told, strict=True)
        ]
        asked = [index for index, answer in enumerate(known) if answer is None]
        rest = iter(self._finished(model, [examples[i] for i in asked], [told[i].tokens for i in asked]))
        return [next(rest) if answer is None else answer for answer in known]

    def _finished(self, model: Any, examples: Sequence[Example], begun: Sequence[list[int]]) -> list[str]:
        """Greedy answers that begin with the tokens in ``begun``, as text."""
        prompts = [example["input_ids"][: example["prompt_length"]] for example in examples]
        rows = self._generated(model, [[*p, *b] for p, b in zip(prompts, begun, strict=True)])
        most = self.max_new_tokens
        whole = [self._text([*b, *row][:most]) for b, row in zip(begun, rows, strict=True)]
        return [frame_of(example).inside(one) for example, one in zip(examples, whole, strict=True)]

    def _text(self, tokens: Sequence[int]) -> str:
        return decoded(self.tokenizer, tokens)

    def _end_tokens(self, model: Any) -> tuple[int, ...]:
        return end_tokens_of(self.tokenizer, getattr(model, "generation_config", None))

    def _encoded(self, row: Row) -> EncodedConversation:
        if "messages" not in row.fields:
            return encode_text_row(self.tokenizer, str(row.fields["text"]))
        return encode_conversation(self.tokenizer, row, template=self.template, loss_on=self.loss_on)

    def _too_long(self, row: Row, found: EncodedConversation) -> Example | Skip:
        ids, marks = found.ids, found.marks
        excess = len(ids) - self.max_length
        kept = int(ids[0] == self.tokenizer.bos_token_id)  # models lean on their first token
        cut = kept + excess
        if self.overflow == "truncate" and not any(marks[: cut + 1]):
            ids, marks = ids[:kept] + ids[cut:], marks[:kept] + marks[cut:]
            cut_off = replace(found, ids=ids, marks=marks, prompt=found.prompt - excess)
            return {**language_example(row, cut_off), "truncated": True}
        if self.overflow == "error":
            raise UserError(
                f"row `{row.id}` has {len(ids)} tokens, and `data.max_length` is {self.max_length}",
                hint="set `data.overflow` to `truncate` (cuts the prompt's start, never what carries loss) "
                "or `drop`, or raise `data.max_length` if the model has more positions",
            )
        return Skip(row.id, "too_long", f"{len(ids)} tokens of at most {self.max_length}")

    def _supervised_logits(self, model: Any, batch: Batch, cache: DynamicCache | None = None) -> torch.Tensor:
        named = ("input_ids", "attention_mask", "position_ids")
        inputs = {name: batch[name] for name in named if name in batch.inputs}
        if self.packed:
            layout = layout_of(batch, model.device.type)
            past = {"past_key_values": cache, "use_cache": cache is not None}
            return model(**inputs, **layout, **past, logits_to_keep=batch["keep"]).logits[0]
        return model(**inputs, use_cache=False).logits.flatten(0, 1)[batch["keep"]]

    def _losses(
        self, model: Any, examples: Sequence[Example]
    ) -> tuple[list[float], list[list[int]], list[dict[str, float]]]:
        """Of each example: its loss, the first choice at each supervised token, losses by position."""
        losses = torch.zeros(len(examples), dtype=torch.float64)
        choices: list[list[int]] = [[] for _ in examples]
        given: list[dict[str, float]] = [{} for _ in examples]
        for chunk, batch, cache in self._passes(model, examples):
            logits = self._supervised_logits(model, batch, cache).float()
            owners = torch.tensor(chunk)[batch["owners"].cpu()]
            token_losses = F.cross_entropy(logits, batch["labels"], reduction="none")
            losses.index_add_(0, owners, token_losses.double().cpu())
            for owner, choice in zip(owners.tolist(), logits.argmax(-1).tolist(), strict=True):
                choices[owner].append(choice)
            if self.positions:
                add_by_position(given, owners.tolist(), token_losses.tolist())
        return losses.tolist(), choices, given

    def _passes(
        self, model: Any, examples: Sequence[Example]
    ) -> Iterator[tuple[list[int], Batch, DynamicCache | None]]:
        """Examples in batches on the model's device, and what all of them open with, if that is held."""
        shared = shared_prefix_length(*tokens_and_marks(examples)) if self.packed and can_share(model) else 0
        own = [example["length"] - shared for example in examples]
        chunks = split_passes(
            own, tokens=self.tokens_per_pass, rows=self.rows_per_pass, padded=not self.packed
        )
        begin = examples[0]["input_ids"][:shared] if shared and len(chunks) > 1 else []
        cache = prefix_cache(model, begin) if begin else None
        for chunk in chunks:
            some = [examples[i] for i in chunk]
            batch = self.collate(some) if cache is None else packed_batch(some, cached=shared)
            yield chunk, batch.to(model.device), cache
            if cache is not None:
                cache.crop(-batch["input_ids"].shape[1])

    def _pad_token(self) -> int:
        pad = self.tokenizer.pad_token_id
        return int(pad if pad is not None else self.tokenizer.eos_token_id or 0)
