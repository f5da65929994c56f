"""The grammar of a recipe: what can be said, with every default; stop rules have a file of their own.

Everything here is frozen and refuses unknown keys. Rules across keys live in ``check.py``.
Nothing in this file imports torch, so that a mistake is reported in well under a second.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from tunesmith.recipe.quantities import (
    Every,
    EveryField,
    Flag,
    Number,
    Seconds,
    Whole,
)
from tunesmith.recipe.section import Section
from tunesmith.recipe.stop_rules import Budget, StopRule

TaskName = Literal["causal-lm", "sequence-classification", "regression", "image-classification"]


# --- model ------------------------------------------------------------------------------------


class TrainedTokenizer(Section):
    """A byte-level BPE tokenizer trained on the training rows, for models made from scratch."""

    vocab_size: Whole = Field(gt=0)


class TokenizerSpec(Section):
    """Where the tokenizer comes from when it is not the model's own."""

    source: str | None = None
    train: TrainedTokenizer | None = None


class Model(Section):
    """The model to start from: a ``source``, or ``new`` for one made from a configuration."""

    source: str | None = None
    revision: str | None = None
    sha256: str | None = None
    new: dict[str, Any] | None = Field(
        default=None, description="Transformers configuration with `model_type`, for random weights."
    )
    tokenizer: TokenizerSpec | None = None
    chat_template: str | None = Field(default=None, description="Jinja text, a path to it, or `none`.")
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        default="auto",
        description="Type of the frozen weights and of the arithmetic; trained weights keep float32.",
    )
    quantize: Literal["4bit", "8bit"] | None = Field(
        default=None, description="Frozen weights in 4 bits (NF4) or 8, for adapters to learn over: QLoRA."
    )
    image_size: int = Field(224, gt=0, description="Height and width in pixels, for a `new` vision model.")
    attention: Literal["sdpa", "eager", "flash_attention_2"] = Field(
        default="sdpa", description="`sdpa` is `eager` in architectures that have nothing else."
    )
    trust_remote_code: Flag = Field(
        default=False, description="Run the model's own code, of the commit that `revision` names."
    )


# --- data -------------------------------------------------------------------------------------


class Rows(Section):
    """One source of rows, and how its columns become the fields of the task.

    A field is a column's name (``question``) or a template with braces (``"Q: {question}"``).
    ``system`` is always a template, so that plain text stands for itself.
    """

    source: str
    revision: str | None = None
    sha256: str | None = None
    name: str | None = Field(default=None, description="Configuration of a Hugging Face data set.")
    split: str | None = None
    format: Literal["auto", "jsonl", "json", "csv", "tsv", "parquet", "text", "hf", "python"] = "auto"
    encoding: str = "utf-8"
    columns: tuple[str, ...] | None = Field(
        default=None, description="Names for a CSV or TSV without a header."
    )
    pattern: str | None = Field(
        default=None, description="Regex with named groups, for lines of a text file."
    )
    arguments: dict[str, Any] = Field(default_factory=dict, description="Keyword arguments for `python:`.")
    weight: Number | None = Field(
        default=None, gt=0, description="Share in a mixture; default: all rows once."
    )
    limit: Whole | None = Field(
        default=None, gt=0, description="Use at most this many rows: a sample of all, drawn with the seed."
    )
    first: Whole | None = Field(default=None, gt=0, description="Read this many rows, the first ones.")
    values: dict[str, dict[str, str]] = Field(
        default_factory=dict, description="Per column: how its values are rewritten."
    )
    # the fields
    system: str | None = None
    tools: str | None = Field(default=None, description="Column of functions, for the chat template.")
    documents: str | None = Field(default=None, description="Column of documents, for the chat template.")
    chat_template_kwargs: str | None = Field(
        default=None, description="Column of further names and values for the chat template."
    )
    messages: str | None = None
    prompt: str | None = None
    completion: str | None = None
    instruction: str | None = None
    input: str | None = None
    output: str | None = None
    conversations: str | None = None
    text: str | None = None
    label: str | None = None
    target: str | None = None
    image: str | None = None


class Holdout(Section):
    """Hold out this many rows (1 or more) or this share of them (below 1) for evaluation."""

    holdout: Number = Field(gt=0)
    stratify: str | None = Field(default=None, description="Column whose shares are kept in both parts.")


class EvalSet(Rows):
    """Another evaluation set: its metrics are named ``set/metric``, in rules as well."""

    metrics: tuple[str, ...] = Field(
        default=(), description="Beside `loss` and what rules name, e.g. `exact_match`."
    )


class Clean(Section):
    """What happens to rows that should not be there. Everything found is counted and reported."""

    empty: Literal["drop", "error"] = "drop"
    malformed: Literal["error", "drop"] = "error"
    duplicates: Literal["drop", "keep", "error"] = "drop"
    near_duplicates: Literal["keep", "drop", "error"] = "keep"
    near_threshold: Number = Field(
        default=0.85, gt=0, le=1, description="Jaccard similarity of word 3-grams."
    )
    leakage: Literal["drop", "keep", "error"] = "drop"
    alike_labels: Literal["error", "keep"] = Field(
        default="error", description="Labels that differ in case, blanks or Unicode form alone."
    )


def _as_list(value: object) -> object:
    return [value] if isinstance(value, dict) else value


class Data(Section):
    """Rows to learn from, rows to evaluate on, and how they are cleaned and encoded."""

    train: Annotated[
        tuple[Rows, ...], BeforeValidator(_as_list, json_schema_input_type=Rows | tuple[Rows, ...])
    ] = Field(min_length=1)
    eval: Rows | Holdout = Holdout(holdout=0.1)
    test: Rows | Holdout | None = Field(
        default=None, description="Scored once, at the very end; no decision sees it."
    )
    clean: Clean = Clean()
    max_length: Whole | None = Field(
        default=None, gt=0, description="Tokens per example; default: the model's."
    )
    overflow: Literal["error", "drop", "truncate"] = Field(
        default="error",
        description="Over-long rows. `truncate` cuts the prompt's start, never what carries loss.",
    )
    loss_on: Literal["assistant", "last_assistant", "all"] = "assistant"
    workers: Whole = Field(default=0, ge=0)
    cache: Flag = True


# --- what is trained --------------------------------------------------------------------------


class LayerRange(Section):
    """Layers by position (``last: 2``, ``first: 1``) or by a regex over parameter names."""

    last: Whole | None = Field(default=None, gt=0)
    first: Whole | None = Field(default=None, gt=0)
    match: str | None = None


LayerChoice = Literal["all", "head", "none"] | LayerRange


class Lora(Section):
    """Low-rank adapters (arXiv 2106.09685), through peft."""

    rank: Whole = Field(default=8, gt=0, le=65_536)
    alpha: Number | None = Field(default=None, gt=0, description="Default: twice the rank.")
    targets: str | tuple[str, ...] = Field(
        default="all-linear", description="`all-linear`, names, or a regex."
    )
    layers: LayerRange | None = Field(default=None, description="Only in these layers; default: all.")
    dropout: Number = Field(default=0.0, ge=0, lt=1)
    dora: Flag = False
    rslora: Flag = False


class Tune(Section):
    """What learns: layers, adapters, or both. Default: everything."""

    layers: LayerChoice | tuple[LayerChoice, ...] | None = None
    lora: Lora | None = None
    save_modules: tuple[str, ...] = Field(
        default=(), description="Modules trained and saved whole beside it."
    )


# --- optimisation -----------------------------------------------------------------------------


class Optimizer(Section):
    """Optimiser, learning rate and its schedule."""

    name: Literal["adamw", "adafactor"] = "adamw"
    learning_rate: Number = Field(gt=0)
    weight_decay: Number = Field(default=0.0, ge=0)
    betas: tuple[Number, Number] = (0.9, 0.999)
    eps: Number = Field(default=1e-8, gt=0)
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    warmup: Number = Field(default=0.03, ge=0, description="Below 1: share of all steps; from 1: steps.")
    final_learning_rate: Number = Field(
        default=0.0, ge=0, le=1, description="At the end, as a share of the peak."
    )
    clip: Number | None = Field(default=1.0, gt=0, description="Largest global gradient norm.")


class Batch(Section):
    """The global batch: what one optimiser step sees, however many processes there are."""

    size: Whole = Field(gt=0)
    micro: Literal["auto"] | Annotated[Whole, Field(gt=0)] = "auto"
    layout: Literal["auto", "packed", "padded"] = Field(
        default="auto", description="`packed` computes no padding and each shared prompt start once."
    )
    checkpointing: Flag = Field(default=False, description="Recompute activations: less memory, more time.")


# --- evaluation and stopping ------------------------------------------------------------------


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
    metrics: tuple[str, ...] = Field(default=(), description="Beside `loss`; default: the task's own.")
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


class Average(Section):
    """Averages of weights, tried when training ends: used only if surely better than the best measured."""

    ema: Number | None = Field(
        default=None, ge=0.5, lt=1, description="Decay a step of a running mean, e.g. 0.999."
    )
    soup: Whole | None = Field(
        default=None, gt=1, description="Uniform mean of so many checkpoints, the last ones; they are kept."
    )


class Safety(Section):
    """What happens when the numbers of a step go wrong; all of it is part of the saved state."""

    non_finite: Literal["stop", "skip", "back"] = Field(
        default="stop",
        description="A loss or gradient that is not finite is not learnt from; `back`: to a checkpoint.",
    )
    spike: Literal["ignore", "skip", "back", "stop"] = Field(
        default="ignore", description="A loss far above what is usual: likewise."
    )
    threshold: Number = Field(
        default=8.0, gt=1, description="Robust deviations above the median from which a loss is a spike."
    )
    window: Whole = Field(default=64, ge=16, le=10_000, description="Steps that say what is usual.")
    at_most: Whole = Field(default=3, gt=0, description="Skips in a row, or returns, before the run stops.")
    lower: Number = Field(default=0.5, gt=0, le=1, description="Learning rate's factor after going back.")


TrackerName = Literal["tensorboard", "mlflow", "wandb", "trackio"]


class Tracker(Section):
    """A tracker with settings of its own; secrets are taken from the environment, never from here."""

    name: TrackerName
    project: str | None = Field(default=None, description="Project or experiment; default: `tunesmith`.")
    address: str | None = Field(
        default=None, description="Of MLflow's server; default: a file in the run directory."
    )


class Run(Section):
    """Where the run lives, and what makes it repeatable."""

    dir: str | None = Field(default=None, description="Default: runs/<recipe name>.")
    seed: Whole = Field(default=0, ge=0, lt=2**32)
    save_every: EveryField | None = Field(
        default=None, description="Checkpoints; default: at every evaluation."
    )
    keep: Whole = Field(default=2, gt=0, description="Checkpoints kept.")
    saving: Literal["background", "inline"] = Field(
        default="background",
        description="Write a copy of the state while training goes on, or wait until it is written.",
    )
    average: Average | None = None
    deadline: Seconds = Field(
        default=1800.0, description="Longest time without progress in any process before the run ends."
    )
    threads: Literal["auto"] | Annotated[Whole, Field(gt=0)] = "auto"
    merge: Literal["auto", "yes", "no"] = Field(
        default="auto",
        description="Merge the adapter into `model/`; auto: if its base has no name on the hub.",
    )
    trackers: tuple[TrackerName | Tracker, ...] = Field(
        default=(), description="Where steps and measurements are shown as well."
    )
    variants: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="Name -> overrides: each is run, and one table compares them."
    )


class Recipe(Section):
    """A whole recipe, resolved: every default filled in."""

    task: TaskName
    model: Model
    data: Data
    tune: Tune = Tune()
    optimizer: Optimizer
    batch: Batch
    eval: Eval = Eval()
    stop: tuple[StopRule, ...] = (StopRule(budget=Budget(epochs=3)),)
    safety: Safety = Safety()
    run: Run = Run()
