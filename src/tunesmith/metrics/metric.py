"""What a metric declares: its name, which way is better, its range, and how it is made of scored examples.

A metric is one declaration in ``families/``, or in a user's own file. It is one of three kinds:

* a mean over examples: ``each`` gives the value of one example;
* a function of sums over examples: ``statistics`` gives each example's rows, ``combine`` their sums' value.
  Intervals, paired tests and parts of the evaluation set follow from the rows alone;
* anything else: ``whole`` gives the value of some examples. Its interval and its tests are made by computing
  it again on resamples, as often as ``resamples`` allows.

A metric of the first two kinds may have ``whole`` too: then that is its value, to the last bit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

Direction = Literal["max", "min"]
Needs = Literal["loss", "text", "label", "number", "values", "given", "any"]


class ScoredRow(Protocol):
    """What a metric may read of an example."""

    @property
    def id(self) -> str:
        """The row's."""
        ...

    @property
    def loss(self) -> float:
        """Summed over the example's supervised tokens, in nats."""
        ...

    @property
    def count(self) -> int:
        """Supervised tokens, or 1."""
        ...

    @property
    def correct(self) -> int:
        """How many of them were the model's first choice."""
        ...

    @property
    def prediction(self) -> Any:
        """Text, label or number."""
        ...

    @property
    def reference(self) -> Any:
        """What it is compared with."""
        ...

    @property
    def given(self) -> Mapping[str, float]:
        """What else is known by name."""
        ...

    @property
    def values(self) -> Mapping[str, float]:
        """Of classes: each label's log-probability; empty where the task has none, or too many classes."""
        ...


@dataclass(frozen=True, slots=True)
class AnsweredRow:
    """An example of which little more is known than its answer."""

    prediction: Any
    reference: Any
    id: str = ""
    loss: float = 0.0
    count: int = 1
    correct: int = 0
    given: Mapping[str, float] = field(default_factory=dict)
    values: Mapping[str, float] = field(default_factory=dict)


def answered(predictions: Sequence[Any], references: Sequence[Any]) -> list[AnsweredRow]:
    """Examples made of predictions and references in one order."""
    return [AnsweredRow(ours, theirs) for ours, theirs in zip(predictions, references, strict=True)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A metric.

    Attributes:
        name: as written in recipes and logs.
        needs: what it reads of an example: ``loss`` comes with every evaluation; ``values`` are
            log-probabilities of classes, ``given`` what else a task or a grader knows by name.
        better: ``max`` if more is better.
        low: smallest value it can have.
        high: largest value it can have.
        meaning: one line for people.
        each: value of one example; the metric is the mean.
        statistics: a row of numbers for each example, shape ``[n, k]``; ``None`` where they are too many.
        combine: sums of such rows, shape ``[..., k]``, to values, shape ``[...]``.
        link: an increasing function of what ``combine`` gives, such as exp; percentiles are taken before it.
        whole: value of some examples, at least one; may be NaN.
        influence: each example's linear part of a ``whole``, shape ``[n]``, whose mean is the value: its
            intervals and paired tests are made of that, not of resamples. ``None`` where there is no value.
        proportion: whether each example gives 0 or 1, so that a Wilson interval applies.
        equality: whether an answer counts only if it is the reference, blanks aside: then one that
            cannot become it need not be told to its end.
        contrasts: whether it is made of differences between labels or targets, and so means nothing over rows
            that all have the same one.
        of_class: the same for one class, by its label: ``f1[CLASS]`` to ``f1[spam]``.
        resamples: of ``whole``, at most.
    """

    name: str
    needs: Needs = "any"
    better: Direction = "max"
    low: float = 0.0
    high: float = 1.0
    meaning: str = ""
    each: Callable[[ScoredRow], float] | None = None
    statistics: Callable[[Sequence[ScoredRow]], Array | None] | None = None
    combine: Callable[[Array], Array] | None = None
    link: Callable[[Array], Array] | None = None
    whole: Callable[[Sequence[ScoredRow]], float] | None = None
    influence: Callable[[Sequence[ScoredRow]], Array | None] | None = None
    proportion: bool = False
    equality: bool = False
    contrasts: bool = False
    of_class: Callable[[str], Metric] | None = None
    resamples: int = 1000

    def __post_init__(self) -> None:
        if not any((self.each, self.whole, self.of_class, self.statistics and self.combine)):
            raise ValueError(f"metric {self.name}: give `each`, `whole`, or `statistics` and `combine`")
        if self.better not in ("max", "min"):
            raise ValueError(f"metric {self.name}: `better` is max or min, not {self.better!r}")

    @property
    def needs_predictions(self) -> bool:
        """Whether the model must predict (for language models: generate)."""
        return self.needs != "loss"


def total(values: Sequence[float]) -> float:
    """Sum, rounded once at the end, so that one process and several give the same number.

    Non-finite terms, and sums beyond the range of a float, give what ordinary addition gives.
    """
    import math

    try:
        return math.fsum(values)
    except (OverflowError, ValueError):
        return float(sum(values))


def ratio(sums: Array) -> Array:
    """Of rows with two numbers, a total and what it is a total of: their ratio, shape ``[...]``."""
    import numpy as np

    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(sums[..., 0] / sums[..., 1])
