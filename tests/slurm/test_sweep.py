"""``--array`` without a cluster: which runs it stands for, and what they are called."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.errors import UserError
from tunesmith.launch.slurm.allocation import picked
from tunesmith.launch.sweep import combinations


@pytest.mark.parametrize(
    ("axes", "names"),
    [
        (["optimizer.learning_rate=1e-4,1e-3"], ["learning_rate=1e-4", "learning_rate=1e-3"]),
        (["run.seed=2..4"], ["seed=2", "seed=3", "seed=4"]),
        (
            ["run.seed=0,1", "tune.lora.rank=4,8"],
            ["seed=0,rank=4", "seed=0,rank=8", "seed=1,rank=4", "seed=1,rank=8"],
        ),
        (["a.size=1", "b.size=2"], ["a.size=1,b.size=2"]),
        (["tune.lora.targets=[q_proj, v_proj],all-linear"], ["targets=q_proj_v_proj", "targets=all-linear"]),
        (["model.source=./a/b,../c"], ["source=._a_b", "source=.._c"]),
        (["x='a,b',c"], ["x=a_b", "x=c"]),
    ],
)
def test_every_combination_is_a_run(axes, names) -> None:
    assert [one.name for one in combinations(axes)] == names


def test_overrides_are_what_was_written() -> None:
    found = combinations(["stop.0={budget: {steps: 3}},{budget: {steps: 4}}", "run.seed=7"])
    assert [one.overrides for one in found] == [
        ("stop.0={budget: {steps: 3}}", "run.seed=7"),
        ("stop.0={budget: {steps: 4}}", "run.seed=7"),
    ]


def test_each_task_has_a_directory_of_its_own() -> None:
    axes = ["optimizer.learning_rate=1e-4,1e-3"]
    assert picked("runs/x", ["batch.size=8"], axes, 1) == [
        "batch.size=8",
        "optimizer.learning_rate=1e-3",
        "run.dir=runs/x/learning_rate=1e-3",
    ]
    assert picked("runs/x", ["batch.size=8"], [], None) == ["batch.size=8"]


@pytest.mark.parametrize("task", [None, 2])
def test_a_task_that_is_none_of_the_sweep(task) -> None:
    with pytest.raises(UserError, match="--array=0-1"):
        picked("runs/x", [], ["run.seed=0,1"], task)


@pytest.mark.parametrize(
    ("axes", "what"),
    [
        (["optimizer.learning_rate"], "is no `key.path=value,value`"),
        (["=1,2"], "is no `key.path=value,value`"),
        (["run.seed="], "lacks a value"),
        (["run.seed=1,,2"], "lacks a value"),
        (["run.seed=4..2"], "lacks a value"),
        (["run.seed=1,1"], "a value twice"),
        (["run.seed=1", "run.seed=2"], "names `run.seed` twice"),
        (["run.dir=a,b"], "cannot sweep `run.dir`"),
        (["run.seed=0..1000000"], "asks for 1,001 runs"),
        (["run.seed=0..99", "tune.lora.rank=1..99"], "asks for 9,900 runs"),
    ],
)
def test_mistakes_are_named(axes, what) -> None:
    with pytest.raises(UserError) as raised:
        combinations(axes)
    assert what in str(raised.value)
    assert raised.value.hint


values = st.text(
    st.characters(codec="ascii", exclude_characters="[]{}()'\",\n"), min_size=1, max_size=40
).filter(lambda text: text.strip() == text and ".." not in text)


@given(st.lists(st.lists(values, min_size=1, max_size=4, unique=True), min_size=1, max_size=3))
def test_names_are_folders_and_differ(axes) -> None:
    found = combinations([f"key{n}={','.join(one)}" for n, one in enumerate(axes)])
    assert len(found) == math.prod(len(one) for one in axes)
    assert len({one.name for one in found}) == len(found)
    assert all("/" not in one.name and one.name.isprintable() and len(one.name) <= 140 for one in found)
    written = {one.overrides for one in found}
    assert len(written) == len(found)
