"""What needs no model, and how many rows each class has."""

from types import SimpleNamespace

import pytest

from tunesmith.prepare.eval_sets import make_eval_sets
from tunesmith.prepare.trivial_baselines import (
    baseline_words,
    counts_of,
    counts_words,
    easy_targets,
    trivial_baselines,
)
from tunesmith.recipe.schema.eval import Eval
from tunesmith.recipe.schema.stop import StopRule
from tunesmith.recipe.tasks.language import CausalLMSettings
from tunesmith.recipe.tasks.spec import TaskSettings
from tunesmith.recipe.tasks.text import (
    SEQUENCE_CLASSIFICATION,
    RegressionSettings,
    SequenceClassificationSettings,
)


def recipe(*metrics: str, task: TaskSettings | None = None, **target: float) -> SimpleNamespace:
    stop = (StopRule(target=target),) if target else ()
    return SimpleNamespace(eval=Eval(metrics=metrics), stop=stop, task=task or CausalLMSettings())


def classes(ham: int, spam: int) -> list[dict]:
    return [{"reference": "spam" if n >= ham else "ham"} for n in range(ham + spam)]


def test_the_commonest_class() -> None:
    (one,) = trivial_baselines(
        recipe("ece", task=SequenceClassificationSettings()), classes(90, 10), classes(868, 132)
    )
    assert one.metrics["accuracy"] == pytest.approx(0.868)
    assert one.metrics["macro_f1"] == pytest.approx(0.5 * 2 * 0.868 / 1.868)
    assert baseline_words(one) == "always ham: accuracy 0.868, macro_f1 0.465"
    (warned,) = easy_targets(recipe(accuracy=0.85), [one])
    assert warned == "`stop.0.target` asks for nothing: always ham reaches accuracy 0.868; set it beyond that"
    assert list(easy_targets(recipe(accuracy=0.9), [one])) == []
    assert list(easy_targets(recipe(accuracy=0.85, loss=9.0), [one])) == [], "not known to be reached"


def test_the_mean() -> None:
    train = [{"reference": value} for value in (1.0, 2.0, 3.0)]
    (one,) = trivial_baselines(
        recipe("pearson", task=RegressionSettings()), train, [{"reference": 4.0}, {"reference": 2.0}]
    )
    assert one.name == "always 2.00, the mean"
    assert one.metrics == {"mse": 2.0}, "Pearson's r of a constant is no number"


def test_the_commonest_answer_and_the_copied_input() -> None:
    train = [{"reference": "yes", "input": "a"}] * 3 + [{"reference": "no", "input": "b"}]
    held_out = [{"reference": "yes", "input": "yes"}, {"reference": "no", "input": "what"}]
    found = {one.name: one.metrics for one in trivial_baselines(recipe("exact_match"), train, held_out)}
    assert found == {"always yes": {"exact_match": 0.5}, "the input copied": {"exact_match": 0.5}}
    unlike = [{"reference": f"{n}", "input": "a"} for n in range(4)]
    assert [one.name for one in trivial_baselines(recipe("f1"), unlike, unlike)] == ["the input copied"]
    plain = [{"reference": "", "input": "a"}]
    assert trivial_baselines(recipe("exact_match"), plain, plain) == ()


def test_rows_of_each_class() -> None:
    assert counts_of(classes(2, 5), ("ham", "spam")) == {"spam": 5, "ham": 2}
    assert counts_words({"ham": 868, "spam": 132}) == "ham 868 (87%), spam 132 (13%)"
    many = {f"c{n}": 20 - n for n in range(20)}
    assert counts_words(many).endswith("… c19 1 (0%); 20 in all")
    answers = [{"reference": "a" if n < 30 else "b"} for n in range(40)]
    assert counts_of(answers, ()) == {"a": 30, "b": 10}
    assert counts_of([{"reference": f"{n}"} for n in range(40)], ()) == {}
    assert counts_of([{"reference": 1.0}], ()) == {}


def test_slices_whose_rows_have_one_label_are_known_as_such() -> None:
    rows = [{"id": f"r:{n}", "reference": n % 2} for n in range(40)]
    marks = {f"r:{n}": {"kind": f"k{n % 2}", "topic": f"t{n % 3}"} for n in range(40)}
    parts = SimpleNamespace(
        recipe=SimpleNamespace(eval=Eval(slices=("kind", "topic")), run=SimpleNamespace(seed=0)),
        held_out=SimpleNamespace(eval=rows, marks=marks, sets={}, test=()),
        head=SimpleNamespace(task=SEQUENCE_CLASSIFICATION),
    )
    _, aside = make_eval_sets(parts)
    assert aside.telling == {"kind"}
    assert aside.sizes["[kind=k0]"] == 20
    places = aside.places("[topic=t1]")
    assert places is not None
    assert places.tolist() == list(range(1, 40, 3))
    assert aside.clusters_of("[topic=t1]") is None
