"""The state of a chat and what each line does to it. No terminal here: lines in, text out."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field

from tunesmith.data.map.messages import Message
from tunesmith.data.map.template import Slot, parse_field
from tunesmith.errors import UserError
from tunesmith.infer.inputs import Question
from tunesmith.infer.open_run import LoadedRun
from tunesmith.infer.predict import Answer, predict, prompt_tokens, stream_answer
from tunesmith.recipe.schema.data import Rows
from tunesmith.recipe.tasks.table import spec_of

HELP = """\
/reset        forget the conversation
/system TEXT  set the system message and forget the conversation; without TEXT: none
/raw          say lines as they are, or put them into the recipe's prompt again
/help         this list
/quit         end (or Ctrl-D); Ctrl-C stops an answer"""


@dataclass
class Conversation:
    """A chat under way.

    Attributes:
        opened: the model.
        system: the system message, empty for none.
        prompt: the recipe's prompt with one gap, ``("Which kind? ", "")``, into which a line is put;
            then each line is asked on its own, as in training. ``None``: lines as they are.
        raw: whether ``prompt`` is left aside for now.
        max_new_tokens: most tokens of an answer.
        turns: what was said, without the system message.
    """

    opened: LoadedRun
    system: str = ""
    prompt: tuple[str, str] | None = None
    raw: bool = False
    max_new_tokens: int = 512
    turns: list[Message] = field(default_factory=list)

    def reply(self, line: str) -> Generator[str, None, None]:
        """The answer to one line, in pieces; of an answer cut short, what was said is remembered.

        Raises:
            UserError: for a question the model cannot take; the conversation is then as it was before.
        """
        if spec_of(self.opened.recipe.task).output != "tokens":
            yield self._judged(line)
            return
        alone = self.prompt is not None and not self.raw
        asked = line.join(self.prompt) if self.prompt is not None and alone else line
        turns: list[Message] = [*([] if alone else self.turns), {"role": "user", "content": asked}]
        said: list[str] = []
        tokens, room = self._tokens(turns, asked)
        try:
            for piece in stream_answer(self.opened, tokens, max_new_tokens=room):
                said.append(piece if said else piece.lstrip())
                yield said[-1]
        finally:
            self.turns = [*turns, {"role": "assistant", "content": "".join(said).strip()}]

    def _tokens(self, turns: list[Message], asked: str) -> tuple[list[int], int]:
        """The prompt, and how many tokens its answer may have."""
        start = [{"role": "system", "content": self.system}] if self.system else []
        tokens = prompt_tokens(self.opened, Question("", [*start, *turns], asked, None, None))
        positions = self.opened.positions()
        if positions is None:
            return tokens, self.max_new_tokens
        if len(tokens) >= positions:
            raise UserError(
                f"the conversation has {len(tokens)} tokens, and the model sees at most {positions}",
                hint="/reset begins anew",
            )
        return tokens, min(self.max_new_tokens, positions - len(tokens))

    def _judged(self, line: str) -> str:
        on_images = spec_of(self.opened.recipe.task).processor == "image"
        question = Question(line, None, line, line if on_images else None, None)
        [(_, found)] = predict(self.opened, [question], max_new_tokens=1, batch_size=1)
        return describe_conversation(found)

    def command(self, line: str) -> str | None:
        """Obey a line that begins with ``/``; what to say about it, or ``None`` to end the chat."""
        word, _, rest = line.strip().partition(" ")
        if word in ("/quit", "/exit"):
            return None
        if word == "/reset":
            self.turns = []
            return "forgotten; the conversation begins anew"
        if word == "/system":
            self.system, self.turns = rest.strip(), []
            return "system message set; the conversation begins anew" if self.system else "no system message"
        if word == "/raw" and self.prompt is None:
            return "lines are said as they are"
        if word == "/raw":
            self.raw, self.turns = not self.raw, []
            return "lines are said as they are" if self.raw else "lines are put into the recipe's prompt"
        return HELP if word == "/help" else f"unknown command `{word}`\n{HELP}"


def describe_conversation(found: Answer) -> str:
    """A label with its probability, or a number."""
    if found.probability is not None:
        return f"{found.output}  {found.probability:.3f}"
    return f"{found.output:.4g}" if isinstance(found.output, float) else str(found.output)


def start(opened: LoadedRun) -> Conversation:
    """A conversation as the recipe trained it: with its system message and its prompt around each line."""
    rows = opened.recipe.data.train[0]
    said = rows.mapped.get("system", "")
    system = said if "{" not in said else ""
    return Conversation(opened, system=system, prompt=_prompt(rows))


def _prompt(rows: Rows) -> tuple[str, str] | None:
    """What stands before and after the only column of the prompt, if anything does."""
    spec = rows.mapped.get("prompt") or rows.mapped.get("instruction")
    if spec is None or "{" not in spec:
        return None
    try:
        template = parse_field(spec, _columns(spec), "prompt")
    except UserError:
        return None
    places = [index for index, part in enumerate(template.parts) if isinstance(part, Slot)]
    if len(places) != 1 or len(template.parts) == 1:
        return None
    texts = ["".join(str(part) for part in half) for half in _halves(template.parts, places[0])]
    return texts[0], texts[1]


def _columns(spec: str) -> list[str]:
    return [part.split("}")[0] for part in spec.replace("{{", "").split("{")[1:]]


def _halves(
    parts: tuple[str | Slot, ...], place: int
) -> tuple[tuple[str | Slot, ...], tuple[str | Slot, ...]]:
    return parts[:place], parts[place + 1 :]
