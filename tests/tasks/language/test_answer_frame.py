"""Answers without what the chat template writes around them."""

import pytest

from tunesmith.tasks.language.answer_frame import Frame

THOUGHT = "<think>\n\n</think>"


@pytest.mark.parametrize(
    ("opening", "closing", "answer", "inside"),
    [
        ("", "", " yes ", "yes"),
        ("Answer:", "", "Answer: yes", "yes"),
        ("Answer:", "", "It is. Answer: yes", "It is. Answer: yes"),
        (THOUGHT, "", THOUGHT + "\n\nyes", "yes"),
        (THOUGHT, "", "<think>\nother\n</think>\n\nyes", "yes"),
        ("[THINK]a[/THINK]", "", "[THINK]b[/THINK]yes", "yes"),
        (THOUGHT, "", "<think>\nfor ever", "<think>\nfor ever"),
        ("", "<|im_end|>", "yes<|im_end|>\n", "yes"),
        ("", "<|im_end|>", "yes<|im_end|> no", "yes<|im_end|> no"),
    ],
)
def test_inside(opening, closing, answer, inside) -> None:
    assert Frame(opening, closing).inside(answer) == inside


def test_a_beginning_that_may_still_become_the_opening_is_open() -> None:
    assert Frame("Answer:").is_open("Ans")
    assert not Frame("Answer:").is_open("No")
    assert not Frame("Answer:").is_open("Answer: y")
    assert Frame(THOUGHT).is_open("<think>\nother")
    assert not Frame(THOUGHT).is_open("<think>\nother</think>y")
