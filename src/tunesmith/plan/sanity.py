"""Settings far from what works for most, said with numbers before the first step. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from tunesmith.recipe.schema.recipe import Recipe
from tunesmith.recipe.tasks.table import spec_of

ADAPTERS, PRETRAINED = "adapters", "a pretrained model"
OTHERS = "an output layer, a new model or one for images"
USUAL_RATES = {ADAPTERS: 2e-4, PRETRAINED: 2e-5, OTHERS: 1e-3}
"""Learning rates of AdamW that most recipes have, by what learns."""
FAR = 100.0
"""Times the usual from which a learning rate is a slip of the pen rather than a choice."""
MANY_EPOCHS = 100.0


def unusual_rate(recipe: Recipe) -> Iterator[str]:
    """A learning rate far above or below what others have for the same kind of training."""
    rate, what = recipe.optimizer.learning_rate, _what_learns(recipe)
    usual = USUAL_RATES[what]
    known = f"the {usual:g} that is usual for {what}"
    said = f"`optimizer.learning_rate` {rate:g} is"
    if rate >= FAR * usual:
        yield f"{said} {rate / usual:,.0f} times {known}: it will most likely diverge"
    elif rate * FAR <= usual:
        yield f"{said} {usual / rate:,.0f} times below {known}: hardly anything will be learnt"


def _what_learns(recipe: Recipe) -> str:
    if recipe.tune.lora is not None:
        return ADAPTERS
    new = recipe.model.new is not None or recipe.tune.layers == "head"
    return OTHERS if new or spec_of(recipe.task).processor == "image" else PRETRAINED


def unusual_batch(size: int, examples: int, steps: int | None) -> Iterator[str]:
    """A batch that holds more than there is, or so many steps that each row is seen for ever.

    Args:
        size: of the global batch.
        examples: in one epoch.
        steps: of the run at most; ``None`` if time alone bounds it.
    """
    epochs = (steps or 0) * size / max(examples, 1)
    passes = f"{steps:,} steps = {epochs:,.0f} epochs" if steps else "each step is more than an epoch"
    if size > examples:
        times = f"{size / max(examples, 1):.1f} times"
        yield (
            f"`batch.size` {size:,} is more than the {examples:,} examples to learn from: each step sees "
            f"all of them {times} ({passes})"
        )
    elif epochs >= MANY_EPOCHS:
        yield f"{passes} of {examples:,} examples: a budget of so many is usually a slip"
