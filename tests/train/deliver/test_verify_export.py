"""The written folder is opened again and compared with what was measured."""

from types import SimpleNamespace

import pytest
import torch

from tunesmith.recipe.tasks.language import CausalLMSettings
from tunesmith.report.score_files import write_scores
from tunesmith.tasks.task import Scored
from tunesmith.train.deliver import verify_export
from tunesmith.train.deliver.verify_export import prove


def scored(name: str, loss: float) -> Scored:
    return Scored(id=name, loss=loss, count=2, correct=0, prediction=None, reference="", input="")


@pytest.fixture
def evaluator(tmp_path, monkeypatch):
    """Two rows, of which the run measured a loss of 1.5 a token."""
    write_scores(tmp_path / "scores.jsonl", [scored("a", 2.0), scored("b", 4.0)])
    model = torch.nn.Linear(2, 2)
    monkeypatch.setattr(verify_export, "reopen", lambda *_, **__: model)
    recipe = SimpleNamespace(task=CausalLMSettings())
    rows = [{"id": "a", "length": 3}, {"id": "b", "length": 2}]
    learner = SimpleNamespace(
        model=model, task=SimpleNamespace(lone_loss=lambda one: one.loss), dtype=torch.float32
    )
    return SimpleNamespace(examples=rows, learner=learner, recipe=recipe)


@pytest.mark.parametrize(
    ("dtype", "off", "agrees"),
    [
        (torch.float32, 0.0, True),
        (torch.float32, 0.02, False),
        (torch.bfloat16, 0.02, True),
        (torch.bfloat16, 0.5, False),
        (torch.float32, float("nan"), False),
    ],
)
def test_another_model_is_told_from_the_measured_one(evaluator, tmp_path, dtype, off, agrees) -> None:
    evaluator.learner.dtype = dtype
    evaluator.learner.task.score_delivered = lambda model, rows: [
        scored(row["id"], 3.0 + 2 * off) for row in rows
    ]
    found = prove(evaluator, tmp_path, tmp_path / "model", SimpleNamespace(), size=24)
    assert (found.measured, found.agrees) == (1.5, agrees)
    assert bool(found.trouble) != agrees


def test_a_folder_that_does_not_open_is_told(evaluator, tmp_path) -> None:
    def broken(*_arguments, **_options):
        raise OSError("no such file")

    evaluator.learner.task.score_delivered = broken
    found = prove(evaluator, tmp_path, tmp_path / "model", SimpleNamespace(), size=24)
    assert (found.agrees, found.trouble) == (False, "it does not open: OSError: no such file")


def test_nothing_measured_is_nothing_compared(evaluator, tmp_path) -> None:
    (tmp_path / "scores.jsonl").unlink()
    assert prove(evaluator, tmp_path, tmp_path / "model", SimpleNamespace(), size=24).agrees is None
