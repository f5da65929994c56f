"""What a run will do, from its parts, in words and figures; nothing heavy is imported for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tunesmith.data.clean.exclusions import without
from tunesmith.errors import UserError
from tunesmith.judge.budget import step_limit, total_steps
from tunesmith.judge.explain import rules_in_words
from tunesmith.judge.schedule.planned_evaluations import Length, planned_evaluations, silent_rules
from tunesmith.judge.selection.deciding_metric import choice_words, choosing, few_rows_words
from tunesmith.metrics.families.ranking import MOST_CLASSES
from tunesmith.metrics.names import WORST, class_part, split_name
from tunesmith.metrics.table import declared
from tunesmith.plan.arithmetic import Arithmetic, grouped
from tunesmith.plan.batch import Division, divide
from tunesmith.plan.sanity import unusual_batch, unusual_rate
from tunesmith.plan.schedule import warmup_steps
from tunesmith.prepare.eval_sets import make_eval_sets
from tunesmith.prepare.inputs import PreparedInputs
from tunesmith.prepare.trivial_baselines import PARTS, baseline_words, counts_words, easy_targets
from tunesmith.recipe.check.metric_names import asked_metrics, contrasts, set_metrics
from tunesmith.recipe.schema.recipe import Recipe
from tunesmith.recipe.tasks.table import spec_of
from tunesmith.suggest import did_you_mean
from tunesmith.tasks.task import Task, offers

Size = tuple[int, bool]
_KEPT_PLACES = {"excluded": "excluded (their places stay empty)"}


def describe(
    parts: PreparedInputs, sizes: Mapping[str, Size], *, processes: int, dtype: str, threads: int, device: str
) -> Arithmetic:
    """The arithmetic of a run.

    Args:
        parts: rows, tasks, budgets.
        sizes: every parameter's name, number of elements and whether it learns.
        processes: among which the batch is divided.
        dtype: of the arithmetic, ``float32`` or ``bfloat16``.
        threads: of a process.
        device: what computes.
    """
    recipe, report = parts.recipe, parts.report
    examples = without(parts.train, parts.order.excluded)
    lengths = [int(example["length"]) for example in examples]
    supervised = sum(example["count"] for example in examples)
    found = report.to_dict()
    return Arithmetic(
        task=recipe.task.name,
        train_examples=parts.order.mixture.size,
        eval_examples=len(parts.held_out.eval),
        tokens=sum(lengths),
        supervised_tokens=supervised,
        longest=max(lengths),
        left_out={
            **{_KEPT_PLACES.get(reason, reason): count for reason, count in found["dropped"].items()},
            "truncated (kept)": found["found"].get("truncated", 0),
            "pictures changed (kept)": found["found"].get("changed", 0),
        },
        division=division_of(parts, processes),
        steps=steps_of(parts),
        trained=grouped({name: size for name, (size, learns) in sizes.items() if learns}),
        frozen=grouped({name: size for name, (size, learns) in sizes.items() if not learns}),
        dtype=_dtype_words(dtype, recipe.model.quantize),
        threads=threads,
        device=device,
        layout="packed without padding" if parts.packed else "padded to the longest",
        learning=_learning_words(recipe, steps_of(parts)),
        evaluation=_evaluation_words(parts),
        stops=rules_in_words(recipe.stop),
        chosen=report.chosen(recipe.run.seed),
        classes=tuple(f"{PARTS[part]}: {counts_words(one)}" for part, one in report.classes.items()),
        baselines=tuple(map(baseline_words, report.without_model)),
        further=tuple(_further_words(parts, division_of(parts, processes))),
        kept=f"weights with {choice_words(choosing(recipe.stop))}",
        warnings=(
            *unusual_rate(recipe),
            *unusual_batch(recipe.batch.size, parts.order.mixture.size, steps_of(parts)),
            *_warnings(parts),
        ),
    )


FORWARD_OF_A_STEP = 1 / 3
"""Of the operations of a step: the backward pass takes twice as many as the forward one."""


def _further_words(parts: PreparedInputs, division: Division) -> Iterator[str]:
    """What a task computes beside learning from a batch, and about how much that is."""
    if offers(parts.task, "enrich"):
        sets = (parts.train, parts.held_out.eval, parts.held_out.test, *parts.held_out.sets.values())
        tokens = sum(parts.task.computed_length(example) for examples in sets for example in examples)
        own = sum(parts.task.computed_length(example) for example in parts.train) / len(parts.train)
        steps = FORWARD_OF_A_STEP * tokens / (own * division.size)
        yield (
            f"before the first step, one pass over all {sum(map(len, sets)):,} examples with the first "
            f"weights: about as much as {steps:,.1f} steps; kept in the cache"
        )
    if offers(parts.task, "roll_out"):
        yield "before each step, its samples are made by the model as it is"
    if offers(parts.task, "coupled_loss"):
        again = division.accumulation > 1
        twice = "; embedded twice, as it takes several passes: about a third more" if again else ""
        yield f"each sample is compared with all {division.size} of its step, over all processes{twice}"


def _warnings(parts: PreparedInputs) -> Iterator[str]:
    """What of the goal can hardly be meant: few rows, rules that cannot speak, targets that ask nothing."""
    recipe, metric = parts.recipe, choosing(parts.recipe.stop).metric
    few = few_rows_words(metric, rows_of(parts, metric))
    yield from [few] if few else []
    yield from easy_targets(recipe, parts.report.without_model)
    steps, batch = steps_of(parts), recipe.batch.size
    length = Length(
        steps=steps,
        epoch_steps=parts.order.mixture.size / batch,
        step_tokens=batch * sum(example["length"] for example in parts.train) / len(parts.train),
        warmup=warmup_steps(steps, recipe.optimizer.warmup),
    )
    if steps is not None and (
        looks := planned_evaluations(recipe.eval.every, length, baseline=recipe.eval.baseline)
    ):
        yield from (one.words for one in silent_rules(recipe.stop, looks))


def rows_of(parts: PreparedInputs, metric: str) -> int | None:
    """Rows on which a metric is measured; of the worst slice, as many as the smallest has."""
    where = split_name(metric).where
    if not where:
        return len(parts.held_out.eval)
    aside = make_eval_sets(parts)[1]
    slices = [len(places) for places in aside.slices.values()]
    return min(slices, default=None) if where == WORST else aside.sizes.get(where)


def division_of(parts: PreparedInputs, processes: int) -> Division:
    """The global batch, divided."""
    typical = sum(example["length"] for example in parts.train) / len(parts.train)
    batch = parts.recipe.batch
    return divide(batch.size, batch.micro, processes, typical_tokens=typical)


def steps_of(parts: PreparedInputs) -> int | None:
    """Steps at most; a schedule that decays needs a number."""
    limit = step_limit if parts.recipe.optimizer.schedule == "constant" else total_steps
    mean = sum(example["length"] for example in parts.train) / len(parts.train)
    return limit(
        parts.recipe.stop,
        examples=parts.order.mixture.size,
        batch_size=parts.recipe.batch.size,
        mean_tokens=mean,
    )


def measured_metrics(recipe: Recipe, task: Task) -> tuple[str, ...]:
    """What is measured: the recipe's metrics, those that its rules need, and what comes for nothing.

    Raises:
        UserError: a metric is of a class that there is not, or of too many.
    """
    names = dict.fromkeys((*asked_metrics(recipe), *spec_of(recipe.task).measured))
    further = [name for each in recipe.eval.sets for name in set_metrics(recipe, each)]
    refuse_classes([*names, *further], task.class_names())
    return tuple(names)


def refuse_classes(names: Sequence[str], labels: Sequence[str]) -> None:
    """Make sure that metrics of one class name one that there is, and that probabilities are not too many.

    Raises:
        UserError: for the first that does not.
    """
    for name in names:
        part, found = class_part(name), declared(name)
        if part is not None and part[1] not in labels:
            hint = did_you_mean(part[1], labels, "classes of the training rows")
            raise UserError(f"`{name}`: no class is called `{part[1]}`", "eval.metrics", hint)
        if found is not None and found.needs == "values" and len(labels) > MOST_CLASSES:
            raise UserError(
                f"`{name}` needs the probability of each of {len(labels):,} classes for every row",
                "eval.metrics",
                f"it is measured for {MOST_CLASSES} classes at most; `macro_f1` or `mcc` needs none",
            )


BESIDE = {
    "async": "beside training, by a process that holds the model once more",
    "follower": "beside training, by `tunesmith follow`",
}


def _evaluation_words(parts: PreparedInputs) -> str:
    recipe = parts.recipe
    section = recipe.eval
    when = "when it pays (auto)" if section.every.auto else f"every {section.every}"
    words = [f"{when}: {', '.join(dict.fromkeys(('loss', *measured_metrics(recipe, parts.task))))}"]
    words += [BESIDE[section.mode]] if section.mode in BESIDE else []
    words += ["as many rows as the decision needs"] if section.subset == "auto" else []
    words += [f"rows with the same {section.cluster} together"] if section.cluster is not None else []
    words += [f"by {', '.join(section.columns)}"] if section.columns else []
    idle = ", ".join(filter(contrasts, measured_metrics(recipe, parts.task)))
    words += [
        f"rows of one {column} have one label, so that {idle} mean nothing there"
        for column in sorted(make_eval_sets(parts)[1].telling if section.columns else ())
    ]
    words += [f"{name}: {len(rows):,} rows" for name, rows in parts.held_out.sets.items()]
    words += [f"test: {len(parts.held_out.test):,} rows, once at the end"] if parts.held_out.test else []
    return "; ".join(words)


def _dtype_words(name: str, quantize: str | None) -> str:
    if quantize is not None:
        bits = {"4bit": "4-bit (NF4)", "8bit": "8-bit"}[quantize]
        return f"{name} arithmetic, {bits} frozen linear layers, {name} for the rest, float32 trained weights"
    return name if name == "float32" else f"{name} arithmetic and frozen weights, float32 trained weights"


def _learning_words(recipe: Recipe, steps: int | None) -> str:
    section = recipe.optimizer
    warmup = f"{warmup_steps(steps, section.warmup)} steps"
    return (
        f"{section.name}, learning rate {section.learning_rate:g}, {section.schedule} schedule, "
        f"warm-up {warmup}, clip {section.clip}"
    )
