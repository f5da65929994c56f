"""A chat, through a pipe and in a terminal."""

import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tunesmith.errors import UserError
from tunesmith.infer.conversation import start
from tunesmith.infer.open_run import open_run
from tunesmith.terminal import printable

PROGRAM = (
    "import sys, pathlib; from tunesmith.infer.chat import chat_loop; chat_loop(pathlib.Path(sys.argv[1]))"
)


@pytest.fixture
def conversation(language_run):
    found = start(open_run(language_run))
    found.max_new_tokens = 12
    return found


def say(conversation, line: str) -> str:
    return "".join(conversation.reply(line))


def generated(conversation, messages) -> str:
    """The answer of plain transformers."""
    tokenizer = conversation.opened.tokenizer
    prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    ids = tokenizer(prompt, return_tensors="pt", add_special_tokens=False).input_ids
    made = conversation.opened.model.generate(ids, max_new_tokens=12, do_sample=False)[0, ids.shape[1] :]
    return tokenizer.decode(made, skip_special_tokens=True)


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def test_a_line_is_put_into_the_prompt_and_asked_on_its_own(conversation) -> None:
    for line in ("who ?", "the moon"):
        wanted = generated(conversation, [user(f"What kind of question is this? {line}")])
        assert say(conversation, line) == wanted.lstrip()


def test_raw_lines_make_a_conversation(conversation) -> None:
    assert "as they are" in conversation.command("/raw")
    first = say(conversation, "who ?")
    second = say(conversation, "and now ?")
    spoken = [user("who ?"), {"role": "assistant", "content": first.strip()}, user("and now ?")]
    assert second == generated(conversation, spoken).lstrip()
    assert [turn["role"] for turn in conversation.turns] == ["user", "assistant", "user", "assistant"]


def test_reset_forgets(conversation) -> None:
    conversation.command("/raw")
    first = say(conversation, "who ?")
    assert say(conversation, "who ?") != first
    conversation.command("/reset")
    assert say(conversation, "who ?") == first


def test_the_system_message_is_said_first(conversation) -> None:
    conversation.command("/raw")
    conversation.command("/system  be kind ")
    system = {"role": "system", "content": "be kind"}
    assert say(conversation, "who ?") == generated(conversation, [system, user("who ?")]).lstrip()
    assert conversation.command("/system") == "no system message"
    assert say(conversation, "who ?") == generated(conversation, [user("who ?")]).lstrip()


def test_an_answer_cut_short_is_remembered(conversation) -> None:
    conversation.command("/raw")
    pieces = conversation.reply("who ?")
    said = next(pieces)
    pieces.close()
    assert conversation.turns == [user("who ?"), {"role": "assistant", "content": said.strip()}]


def test_a_conversation_too_long_is_refused_and_left_as_it_was(conversation) -> None:
    conversation.command("/raw")
    with pytest.raises(UserError, match="sees at most 256"):
        say(conversation, "who " * 300)
    assert conversation.turns == []


@pytest.mark.parametrize(
    ("line", "words"),
    [("/quit", None), ("/help", "/reset"), ("/raw", "as they are"), ("/nope x", "unknown command `/nope`")],
)
def test_commands(conversation, line: str, words: str | None) -> None:
    said = conversation.command(line)
    assert said is None if words is None else words in said


def test_labels_and_numbers(labels_run, numbers_run) -> None:
    label, share = say(start(open_run(labels_run)), "who ?").split()
    assert label in {"ABBR", "HUM", "no"}
    assert 1 / 3 <= float(share) <= 1
    float(say(start(open_run(numbers_run)), "who ?"))


def environment() -> dict[str, str]:
    return {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "TERM": "xterm", "COLUMNS": "200"}


def test_through_a_pipe_stdout_holds_answers_alone(language_run) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(language_run)],
        input="/system be brief\nwho ?\n\nwho ?\n/quit\nnever asked\n",
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        env=environment(),
    )
    assert done.returncode == 0, done.stderr
    conversation = start(open_run(language_run))
    conversation.command("/system be brief")
    answer = printable(say(conversation, "who ?"))
    assert done.stdout == f"{answer}\n{answer}\n"
    assert "system message set" in done.stderr


@pytest.fixture(scope="module")
def talkative_run(tmp_path_factory: pytest.TempPathFactory, make) -> Path:
    """A model that never ends an answer by itself."""
    model = make.tiny_llama()
    model.config.eos_token_id = model.generation_config.eos_token_id = None
    model.config.max_position_embeddings = 100_000
    tokenizer = make.train_tokenizer()
    folder = tmp_path_factory.mktemp("talkative") / "run"
    return make.save_run(folder, "causal-lm", "prompt: text, completion: label", model, tokenizer)


class Terminal:
    """The chat in a terminal of its own."""

    def __init__(self, run: Path) -> None:
        self.process, self.here = pty.fork()
        if self.process == 0:
            # A shell that starts tests in the background has them ignore interrupts; a terminal does not.
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.execve(sys.executable, [sys.executable, "-c", PROGRAM, str(run)], environment())
        self.seen = ""

    def type(self, keys: str) -> None:
        os.write(self.here, keys.encode())

    def wait_for(self, words: str, seconds: float = 90) -> str:
        """Everything up to ``words``, which is then done with."""
        end = time.monotonic() + seconds
        while words not in self.seen:
            assert time.monotonic() < end, f"no {words!r} in {self.seen!r}"
            if select.select([self.here], [], [], 0.2)[0]:
                self.seen += os.read(self.here, 65536).decode(errors="replace")
        before, _, self.seen = self.seen.partition(words)
        return before

    def wait(self) -> int:
        """The exit status."""
        status = os.waitstatus_to_exitcode(os.waitpid(self.process, 0)[1])
        self.process = 0
        return status

    def close(self) -> None:
        if self.process:
            os.kill(self.process, signal.SIGKILL)
            self.wait()
        os.close(self.here)


@pytest.mark.slow
def test_in_a_terminal_an_interrupt_stops_the_answer_and_not_the_program(talkative_run) -> None:
    terminal = Terminal(talkative_run)
    try:
        introduction = terminal.wait_for("you ›")
        assert "causal-lm" in introduction
        terminal.type("who ?\r")
        terminal.wait_for("who ?")
        while len(terminal.seen) < 20:  # the answer is under way
            terminal.seen += os.read(terminal.here, 65536).decode(errors="replace")
        terminal.type("\x03")
        terminal.wait_for("(stopped)")
        terminal.wait_for("you ›")
        terminal.type("\x03")
        terminal.wait_for("Ctrl-D or /quit ends")
        terminal.wait_for("you ›")
        terminal.type("\x04")
        assert terminal.wait() == 0
    finally:
        terminal.close()
