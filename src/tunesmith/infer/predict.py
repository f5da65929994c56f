"""Questions in, answers out: one batch at a time, the same bits whatever the batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunesmith.data.passes import picture_length, split_passes, tokens_per_pass
from tunesmith.data.row import Row
from tunesmith.errors import UserError
from tunesmith.infer.evaluation_rows import task_for
from tunesmith.infer.inputs import Question
from tunesmith.infer.open_run import LoadedRun
from tunesmith.recipe.tasks.table import spec_of
from tunesmith.suggest import listed
from tunesmith.tasks.build import task_class
from tunesmith.tasks.task import Task


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model says: text, label, number or what its task makes of it; for labels ``probability``s."""

    output: Any
    probability: float | None = None
    probabilities: Mapping[str, float] | None = None


def prompt_tokens(opened: LoadedRun, question: Question) -> list[int]:
    """The question as training showed it: through the chat template, up to where the answer begins.

    Raises:
        UserError: if the chat template refuses the conversation, the tokenizer gives up on it, or it has a
            token that the model does not know.
    """
    from tunesmith.tasks.language.tokens import giving_up, refuse_unknown_prompt

    with giving_up(question.id):
        tokens = _prompt_tokens(opened, question)
    refuse_unknown_prompt(tokens, opened.tokenizer, opened.model.config, f"row `{question.id}`")
    return tokens


def _prompt_tokens(opened: LoadedRun, question: Question) -> list[int]:
    from tunesmith.tasks.language import chat, rendering

    assert opened.tokenizer is not None
    if question.messages is None:
        return chat.plain_tokens(opened.tokenizer, question.text)
    if not opened.templated:
        text, _ = chat.plain_spans(opened.tokenizer, question.messages)
    else:
        text = rendering.render_template(opened.tokenizer, question.messages, ask=True, given=question.given)
    return chat.encode_plain(opened.tokenizer, text, add_special_tokens=False)[0]


def predict(
    opened: LoadedRun, questions: Sequence[Question], *, max_new_tokens: int, batch_size: int
) -> Iterator[tuple[int, Answer]]:
    """Answer every question, as ``(index, answer)`` in batches of similar length.

    A text that is too long has no answer where the recipe drops such rows.

    Args:
        opened: the model.
        questions: none of them empty.
        max_new_tokens: most tokens of a generated answer; language models only.
        batch_size: most questions of a forward pass; long ones are fewer.

    Raises:
        UserError: for a question that is too long for the model, or is no image.
    """
    task = spec_of(opened.recipe.task)
    if task_class(opened.recipe.task).answer is not Task.answer:
        return _answered(opened, questions, max_new_tokens, batch_size)
    if len([field for field in task.inputs if not field.optional]) > 1:
        raise UserError(
            f"task `{opened.recipe.task.name}` has several inputs, and does not say what it answers to them",
            hint="give its class `answer`; see docs/adding-a-task.md",
        )
    if task.output == "tokens":
        return _generated(opened, questions, max_new_tokens, batch_size)
    if task.processor == "image":
        return _labelled_images(opened, questions, batch_size)
    return _scored_texts(opened, questions, batch_size)


def _answered(
    opened: LoadedRun, questions: Sequence[Question], max_new_tokens: int, batch_size: int
) -> Iterator[tuple[int, Answer]]:
    task = task_for(opened, max_new_tokens=max_new_tokens, batch_size=batch_size)
    for start in range(0, len(questions), batch_size):
        rows = [_row_of(question, opened) for question in questions[start : start + batch_size]]
        for index, output in enumerate(task.answer(opened.model, rows) or (), start):
            yield index, Answer(output)


def _row_of(question: Question, opened: LoadedRun) -> Row:
    """The question's fields; a line of a chat is the only one that the task needs."""
    if question.row is not None:
        return question.row
    schema = spec_of(opened.recipe.task).row_schema
    needed = [field for field in schema.inputs if not field.optional]
    if len(needed) != 1:
        raise UserError(
            f"a line of a chat does not say all of {listed(field.name for field in needed)}",
            hint="put rows into a file, for `tunesmith generate`",
        )
    said = [{"role": "user", "content": question.text}] if needed[0].kind == "chat" else question.text
    return Row(question.id, {needed[0].name: said}, schema)


def _generated(
    opened: LoadedRun, questions: Sequence[Question], max_new_tokens: int, batch_size: int
) -> Iterator[tuple[int, Answer]]:
    from tunesmith.tasks.language.answer_frame import decoded
    from tunesmith.tasks.language.generation import end_tokens_of, generate

    prompts = [prompt_tokens(opened, question) for question in questions]
    for question, prompt in zip(questions, prompts, strict=True):
        _refuse_too_long(opened, len(prompt) + max_new_tokens, f"row `{question.id}`", max_new_tokens)
    tokenizer: Any = opened.tokenizer
    ends = end_tokens_of(tokenizer, getattr(opened.model, "generation_config", None))
    for chosen in _passes(opened, [len(prompt) for prompt in prompts], batch_size):
        rows = generate(
            opened.model,
            [prompts[index] for index in chosen],
            end_tokens=ends,
            pad_token=tokenizer.pad_token_id or 0,
            max_new_tokens=max_new_tokens,
            batch_size=len(chosen),
        )
        for index, row in zip(chosen, rows, strict=True):
            yield index, Answer(decoded(tokenizer, row))


def _refuse_too_long(opened: LoadedRun, length: int, what: str, max_new_tokens: int) -> None:
    positions = opened.positions()
    if positions is None or length <= positions:
        return
    raise UserError(
        f"{what} has {length - max_new_tokens} tokens, and with {max_new_tokens} new ones that is more than "
        f"the model's {positions} positions",
        hint="shorten it, or ask for fewer new tokens",
    )


def _scored_texts(
    opened: LoadedRun, questions: Sequence[Question], batch_size: int
) -> Iterator[tuple[int, Answer]]:
    from tunesmith.tasks.language.tokens import giving_up, refuse_unknown_prompt
    from tunesmith.tasks.text.encoder_inputs import encode_text, pad_batch, tokens_of

    tokenizer: Any = opened.tokenizer
    most = opened.recipe.data.max_length or opened.positions() or 10**9
    encoded = []
    for each in questions:
        with giving_up(each.id):
            row = encode_text(tokenizer, each.text, each.id, most, opened.recipe.data.overflow)
        if not isinstance(row, int):
            refuse_unknown_prompt(tokens_of(row), tokenizer, opened.model.config, f"row `{each.id}`")
        encoded.append(row)
    # a number is the length of a row that the recipe drops: it has no answer
    kept = [index for index, row in enumerate(encoded) if not isinstance(row, int)]
    examples: Any = [encoded[index] for index in kept]
    for some in _passes(opened, [example["length"] for example in examples], batch_size):
        chosen = [kept[place] for place in some]
        yield from _scores(opened, chosen, pad_batch(tokenizer, [examples[place] for place in some]))


def _labelled_images(
    opened: LoadedRun, questions: Sequence[Question], batch_size: int
) -> Iterator[tuple[int, Answer]]:
    from tunesmith.tasks.image_classification import pixel_batch, pixels_of

    for start in range(0, len(questions), batch_size):
        images = map(_open_image, questions[start : start + batch_size])
        pixels = [pixels_of(opened.processor, image) for image in images]
        for some in _passes(opened, [picture_length(*each.shape[-2:]) for each in pixels], batch_size):
            batch = pixel_batch([pixels[place] for place in some])
            yield from _scores(opened, [start + place for place in some], batch)


def _open_image(question: Question) -> Any:
    from tunesmith.tasks.image_classification import open_image

    try:
        return open_image(question.image)
    except ValueError as error:
        raise UserError(f"row `{question.id}` is no image: {error}", hint="mend or delete the row") from error


def _scores(opened: LoadedRun, chosen: Sequence[int], batch: dict[str, Any]) -> Iterator[tuple[int, Answer]]:
    import torch

    from tunesmith.tasks.text.encoder_inputs import without_cache

    with torch.no_grad():
        inputs = {name: _placed(opened.model, value) for name, value in batch.items()}
        logits = opened.model(**inputs, **without_cache(opened.model)).logits.float()
    if spec_of(opened.recipe.task).output == "number":
        yield from zip(chosen, (Answer(number) for number in logits.squeeze(-1).tolist()), strict=True)
        return
    labels = opened.labels()
    for index, shares in zip(chosen, logits.double().softmax(-1).tolist(), strict=True):
        best = max(range(len(labels)), key=shares.__getitem__)
        yield index, Answer(labels[best], shares[best], dict(zip(labels, shares, strict=True)))


def _placed(model: Any, value: Any) -> Any:
    """On the model's device; numbers with a fraction in the model's type."""
    return value.to(model.device, model.dtype) if value.is_floating_point() else value.to(model.device)


def _passes(opened: LoadedRun, lengths: Sequence[int], batch_size: int) -> list[list[int]]:
    return split_passes(lengths, rows=batch_size, tokens=tokens_per_pass(opened.model.device.type))


UNFINISHED = "\ufffd"
"""What a tokenizer writes for a character of which some bytes are still to come."""


def stream_answer(opened: LoadedRun, prompt: Sequence[int], *, max_new_tokens: int) -> Iterator[str]:
    """Greedy answer to a tokenised prompt, in pieces of text that add up to it.

    Characters that span tokens are held back until they are whole. Whoever stops reading stops the
    generation.
    """
    tokenizer = opened.tokenizer
    assert tokenizer is not None
    made: list[int] = []
    said = ""
    for token in _stream_tokens(opened, prompt, max_new_tokens):
        made.append(token)
        text = tokenizer.decode(made, skip_special_tokens=False, clean_up_tokenization_spaces=False)
        if not text.endswith(UNFINISHED) and text.startswith(said) and text != said:
            yield text[len(said) :]
            said = text
    text = tokenizer.decode(made, skip_special_tokens=False, clean_up_tokenization_spaces=False)
    if text.startswith(said) and text != said:
        yield text[len(said) :]


def _stream_tokens(opened: LoadedRun, prompt: Sequence[int], max_new_tokens: int) -> Iterator[int]:
    import torch
    from transformers import DynamicCache

    from tunesmith.tasks.language.generation import end_tokens_of

    model = opened.model
    ends = end_tokens_of(opened.tokenizer, getattr(model, "generation_config", None))
    cache = DynamicCache(config=model.config)
    ids = torch.tensor([list(prompt)], device=model.device)
    for _ in range(max_new_tokens):
        with torch.no_grad():
            output = model(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
        token = int(output.logits[0, -1].argmax())
        if token in ends:
            return
        yield token
        ids = torch.tensor([[token]], device=model.device)
