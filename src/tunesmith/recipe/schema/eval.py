"""The section `eval`: when, on what and by which metrics a run is measured."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from tunesmith.recipe.schema.data import Rows
from tunesmith.recipe.schema.quantities import Every, EveryField, Seconds
from tunesmith.recipe.section import Flag, Number, Section, Whole


class EvalSet(Rows):
    """Another evaluation set: its metrics are named ``set/metric``, in rules as well."""

    metrics: tuple[str, ...] = Field(
        default=(), description="Beside `loss` and what rules name, e.g. `exact_match`."
    )


class Generate(Section):
    """How answers are generated for generation metrics: greedily, with a key-value cache."""

    max_new_tokens: Whole = Field(default=64, gt=0)
    batch_size: Whole = Field(default=32, gt=0)


class Code(Section):
    """How metric `code` runs an answer, a Python program: in a process that can do little."""

    tests: str | None = Field(
        default=None, description="Column with tests to run after it; default: its output is the reference's."
    )
    time: Seconds = 5.0
    memory: Whole = Field(default=512, ge=64, description="MiB of address space.")


class Judge(Section):
    """Another model that scores answers for metric `judge`, behind an OpenAI-compatible endpoint."""

    url: str = Field(description="Up to and with `/v1`.")
    model: str
    prompt: str = Field(
        default="Here is a question, a reference answer and the answer of a student.\n\n"
        "Question: {question}\n\nReference: {reference}\n\nStudent: {answer}\n\n"
        "How good is the student's answer, from 1 (wrong) to 10 (as good as the reference)? "
        "Say why in one sentence, then end with a line `Score: N`.",
        description="With `{answer}`, and `{question}` and `{reference}` where wanted.",
    )
    scale: tuple[Number, Number] = Field(default=(1, 10), description="Worst and best `Score: N`.")
    key_env: str | None = Field(default=None, description="Environment variable that holds the key.")
    timeout: Seconds = 60.0
    retries: Whole = Field(default=2, ge=0, le=10)
    concurrency: Whole = Field(default=4, gt=0, le=64)
    on_failure: Literal["unknown", "error"] = Field(
        default="unknown", description="The metric is unknown, or the run ends and can go on."
    )


class Eval(Section):
    """When and what to measure."""

    every: EveryField = Field(
        default=Every(count=1, unit="epochs"), description="`auto`: often early, rarely late, at most 5 %."
    )
    metrics: tuple[str, ...] = Field(
        default=(),
        description="Beside `loss`; default: the task's own. `python:MODULE:NAME` is one of yours.",
    )
    baseline: Flag = True
    mode: Literal["inline", "async", "follower"] = Field(
        default="inline",
        description="`async`: beside training, in another process; `follower`: by `tunesmith follow RUN`.",
    )
    ahead: Whole = Field(
        default=2, gt=0, description="Evaluations under way beside training before it waits for one."
    )
    batch_size: Whole = Field(default=64, gt=0)
    limit: Whole | None = Field(
        default=None,
        gt=0,
        description="Evaluate on at most this many rows: a sample with all labels' shares.",
    )
    subset: Literal["all", "auto"] = Field(
        default="all", description="`auto`: as many rows as the decision needs; all of them to confirm."
    )
    cluster: str | None = Field(
        default=None, description="Column whose equal values mark rows that belong together."
    )
    sets: dict[str, EvalSet] = Field(
        default_factory=dict, description="Further evaluation sets, e.g. to guard what must not be forgotten."
    )
    slices: str | tuple[str, ...] = Field(
        default=(),
        description="Columns whose values are measured apart; `worst/METRIC` is the worst of them.",
    )
    harness: tuple[str, ...] = Field(
        default=(), description="Tasks of lm-evaluation-harness: names, or paths of YAML files."
    )
    positions: Flag = Field(default=False, description="Perplexity by a token's position, too.")
    regex: str | None = Field(default=None, description="For metric `regex`: what a whole answer must match.")
    json_schema: dict[str, Any] | None = Field(
        default=None, description="For metric `json_schema`: what an answer must fit."
    )
    code: Code = Code()
    judge: Judge | None = Field(default=None, description="For metric `judge`: the model that scores.")
    samples: Whole = Field(default=8, ge=0, description="Examples shown before and after in the report.")
    generate: Generate = Generate()

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of ``slices``."""
        return (self.slices,) if isinstance(self.slices, str) else self.slices
