"""Rules across keys: combinations that the schema allows and that cannot work.

Everything here is a pure function of the recipe; ``load`` adds the places.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from tunesmith.recipe.check.data import check_data
from tunesmith.recipe.check.eval import check_goal, check_trackers
from tunesmith.recipe.finding import Problem
from tunesmith.recipe.schema.model import Model, TokenizerSpec
from tunesmith.recipe.schema.recipe import Recipe
from tunesmith.recipe.schema.tune import BatchSettings, LayerRange, Lora, Tune
from tunesmith.recipe.source_syntax import kind_of
from tunesmith.recipe.tasks.own import UNREAD
from tunesmith.recipe.tasks.spec import TaskSettings
from tunesmith.recipe.tasks.table import spec_of, tasks_with
from tunesmith.suggest import shorten

MOST_VARIANTS = 50
_VARIANT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def check(recipe: Recipe) -> list[Problem]:
    """Everything that is wrong with a recipe whose keys and types are right."""
    spec = spec_of(recipe.task)
    if spec is UNREAD:  # the rest is looked at once its file has been imported
        return [*_tune(recipe.tune), *_quantize(recipe), *_run(recipe), *check_trackers(recipe.run.trackers)]
    is_text = spec.processor == "tokenizer"
    return [
        *_model(recipe.model, recipe.task, is_text),
        *check_data(recipe),
        *_tune(recipe.tune),
        *_quantize(recipe),
        *_batch(recipe.batch, recipe.task),
        *check_goal(recipe),
        *_run(recipe),
        *check_trackers(recipe.run.trackers),
    ]


def _model(model: Model, task: TaskSettings, is_text: bool) -> Iterator[Problem]:
    path = ("model",)
    if (model.source is None) == (model.new is None):
        what = (
            "`model` has both `source` and `new`"
            if model.source
            else "`model` has neither `source` nor `new`"
        )
        yield Problem(path, what, "give one: `source` to start from weights, `new` for random ones", "key")
    for name in ("revision", "sha256") if model.source is None else ():
        if getattr(model, name) is not None:
            yield Problem((*path, name), f"`model.{name}` needs `model.source`", "take it away", "key")
    yield from _pin(model.source, model.revision, model.sha256, path)
    if model.trust_remote_code:
        yield from _remote_code(model)
    if model.new is not None:
        yield from _new_model(model, is_text)
    if model.tokenizer is not None:
        yield from _tokenizer(model.tokenizer, model, is_text)
    if model.chat_template is not None and tasks_with("chat_template", task):
        what = f"`model.chat_template` means nothing for task `{task.name}`"
        yield Problem((*path, "chat_template"), what, "take it away", "key")


def _remote_code(model: Model) -> Iterator[Problem]:
    """A model's own code runs only if it is the code that somebody has read."""
    path = ("model", "trust_remote_code")
    if model.source is None or kind_of(model.source) != "hub":
        what = "`model.trust_remote_code` is for a source on the hub, where a commit can be named"
        yield Problem(path, what, "take it away", "key")
    elif re.fullmatch(r"[0-9a-f]{40}", model.revision or "") is None:
        what = "`model.trust_remote_code` needs `model.revision`, a commit of 40 hexadecimal digits"
        yield Problem(path, what, "read the code at a commit, and name that commit", "key")


def _pin(
    source: str | None, revision: str | None, sha256: str | None, path: tuple[str | int, ...]
) -> Iterator[Problem]:
    """``revision`` is the hub's; a ``sha256`` has 64 hexadecimal digits."""
    name = ".".join(str(step) for step in path)
    if source is not None and revision is not None and kind_of(source) != "hub":
        what = f"`{name}.revision` means something only for a source on the hub"
        yield Problem((*path, "revision"), what, "take it away", "key")
    if sha256 is not None and not re.fullmatch(r"[0-9a-fA-F]{64}", sha256):
        hint = "`sha256sum FILE` prints it"
        yield Problem((*path, "sha256"), f"`{name}.sha256` must have 64 hexadecimal digits", hint)


def _new_model(model: Model, is_text: bool) -> Iterator[Problem]:
    assert model.new is not None
    path = ("model", "new")
    if not isinstance(model.new.get("model_type"), str):
        hint = "add e.g. `model_type: llama`, `bert` or `resnet`, and that configuration's sizes"
        yield Problem(path, "`model.new.model_type` is missing", hint, "key")
    if is_text and model.tokenizer is None:
        hint = "add `tokenizer: {train: {vocab_size: 2000}}`, or `tokenizer: {source: …}`"
        yield Problem(path, "a new model needs `model.tokenizer`", hint, "key")
    yield from check_new(model.new)
    if model.new.get("image_size") not in (None, model.image_size):
        what = f"`model.new.image_size` is not `model.image_size` ({model.image_size})"
        yield Problem((*path, "image_size"), what, "take it away, and say it in `model.image_size`", "key")
    trained = model.tokenizer.train if model.tokenizer is not None else None
    size = model.new.get("vocab_size")
    if trained is not None and isinstance(size, int) and size < trained.vocab_size:
        what = f"`model.new.vocab_size` ({size}) is smaller than the tokenizer's ({trained.vocab_size})"
        yield Problem((*path, "vocab_size"), what, f"write {trained.vocab_size} or leave it out")


def _tokenizer(tokenizer: TokenizerSpec, model: Model, is_text: bool) -> Iterator[Problem]:
    path = ("model", "tokenizer")
    if not is_text:
        yield Problem(path, "an image task has no tokenizer", "take `model.tokenizer` away", "key")
    elif (tokenizer.source is None) == (tokenizer.train is None):
        what = "both `source` and `train`" if tokenizer.source else "neither `source` nor `train`"
        yield Problem(path, f"`model.tokenizer` has {what}", "give one of them", "key")
    elif tokenizer.train is not None and model.source is not None:
        what = "a freshly trained tokenizer does not fit a model that already has weights"
        yield Problem((*path, "train"), what, "take it away, or start from `model.new`", "key")


def _tune(tune: Tune) -> Iterator[Problem]:
    choices = tune.layers if isinstance(tune.layers, tuple) else (tune.layers,)
    for index, choice in enumerate(choices):
        path = ("tune", "layers", index) if isinstance(tune.layers, tuple) else ("tune", "layers")
        if isinstance(choice, LayerRange):
            yield from _layer_range(choice, path)
    if len(choices) != 1 and ("all" in choices or "none" in choices or not choices):
        what = "an empty list" if not choices else "`all` or `none` beside other choices"
        yield Problem(
            ("tune", "layers"), f"`tune.layers` has {what}", "write one word, or list layers", "key"
        )
    if tune.lora is None and tune.save_modules:
        what = "`tune.save_modules` needs `tune.lora`"
        yield Problem(
            ("tune", "save_modules"), what, "name those modules in `tune.layers`: `match: REGEX`", "key"
        )
    if tune.lora is None and tune.layers == "none":
        yield Problem(
            ("tune", "layers"), "nothing would be trained", "choose `head`, `last: 2`, `all` or a `lora`"
        )
    if tune.lora is not None:
        yield from _lora(tune.lora, tune)


def _lora(lora: Lora, tune: Tune) -> Iterator[Problem]:
    if tune.layers == "all":
        what = "`tune.layers: all` trains everything, so that `tune.lora` adds nothing"
        yield Problem(("tune", "layers"), what, "take one of the two away")
    if lora.layers is not None:
        yield from _layer_range(lora.layers, ("tune", "lora", "layers"))
    if not lora.targets:
        hint = "write `all-linear`, names, or a regex"
        yield Problem(("tune", "lora", "targets"), "`tune.lora.targets` is empty", hint)
    elif isinstance(lora.targets, str) and lora.targets != "all-linear":
        yield from _regex(lora.targets, ("tune", "lora", "targets"))


def _quantize(recipe: Recipe) -> Iterator[Problem]:
    path, quantize = ("model", "quantize"), recipe.model.quantize
    if quantize is not None and recipe.tune.lora is None:
        what = f"`model.quantize: {quantize}` needs `tune.lora`: quantised weights have no gradient"
        hint = "add `tune: {lora: {rank: 16}}`, or take `model.quantize` away to train the weights themselves"
        yield Problem(path, what, hint, "key")
    elif quantize == "8bit" and recipe.tune.lora is not None and recipe.tune.lora.dora:
        what = "`tune.lora.dora` cannot be computed over weights in 8 bits"
        yield Problem(
            ("tune", "lora", "dora"), what, "write `model.quantize: 4bit`, or take `dora` away", "key"
        )


def _layer_range(layers: LayerRange, path: tuple[str | int, ...]) -> Iterator[Problem]:
    given = [name for name in ("last", "first", "match") if getattr(layers, name) is not None]
    if len(given) != 1:
        name = ".".join(str(step) for step in path)
        what = f"`{name}` must have exactly one of `last`, `first` and `match`; it has {len(given) or 'none'}"
        yield Problem(path, what, "list several choices as `[{first: 1}, {last: 2}]`", "key")
    if layers.match is not None:
        yield from _regex(layers.match, (*path, "match"))


def _regex(pattern: str, path: tuple[str | int, ...]) -> Iterator[Problem]:
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        what = f"`{'.'.join(str(step) for step in path)}` is not a regular expression: {error}"
        yield Problem(path, what, r"put a backslash before a character that stands for itself: `\(`")


def _batch(batch: BatchSettings, task: TaskSettings) -> Iterator[Problem]:
    if batch.micro != "auto" and batch.size % batch.micro:
        what = f"`batch.micro` ({batch.micro}) does not divide `batch.size` ({batch.size})"
        yield Problem(("batch", "micro"), what, _nearest_divisors(batch.micro, batch.size))
    if batch.size < 2 and spec_of(task).couples:
        what = f"task `{task.name}` compares the samples of a batch with each other, and `batch.size` is 1"
        yield Problem(("batch", "size"), what, "set it to 2 or more; 16 to 64 are usual")
    if batch.layout == "packed" and (others := tasks_with("packing", task)):
        what = f"`batch.layout: packed` is for task {others}, not `{task.name}`"
        yield Problem(("batch", "layout"), what, "leave it out")


def _nearest_divisors(micro: int, size: int) -> str:
    """The divisors of ``size`` on both sides of ``micro``, within reach, and the nearest size."""
    reach = 10_000
    start = min(micro, size)
    below = next((n for n in range(start, max(0, start - reach), -1) if size % n == 0), 1)
    above = next((n for n in range(start + 1, min(size, start + reach) + 1) if size % n == 0), None)
    near = f"{below} or {above}" if above is not None else str(below)
    rounded = max(1, round(size / micro)) * micro
    return f"the nearest that do: {near}; or write `batch.size: {rounded}`"


def _run(recipe: Recipe) -> Iterator[Problem]:
    run = recipe.run
    if run.dir is not None and not run.dir.strip():
        yield Problem(("run", "dir"), "`run.dir` is empty", "leave it out for `runs/<recipe name>`")
    if run.average is not None and run.average.ema is None and run.average.soup is None:
        what = "`run.average` has neither `ema` nor `soup`"
        yield Problem(("run", "average"), what, "add e.g. `ema: 0.999` or `soup: 4`", "key")
    if run.merge == "yes" and recipe.tune.lora is None:
        what = "`run.merge: yes` needs an adapter"
        yield Problem(("run", "merge"), what, "add `tune.lora`, or leave `merge` out")
    if len(run.variants) > MOST_VARIANTS:
        what = f"{len(run.variants)} variants; a recipe compares at most {MOST_VARIANTS}"
        yield Problem(("run", "variants"), what, "write a second recipe that extends this one", "key")
    for name, changes in run.variants.items():
        path = ("run", "variants", name)
        if not _VARIANT_NAME.fullmatch(name):
            what = f"`{name[:80]}` cannot be the name of a variant: it becomes a folder"
            yield Problem(path, what, "use letters, digits, `-`, `_` and `.`", "key")
        if not changes:
            yield Problem(path, f"variant `{name}` changes nothing", "write `{key.path: value}`", "key")
        section = changes.get("run", {})
        inside = [*changes, *(f"run.{key}" for key in section)] if isinstance(section, dict) else [*changes]
        for key in inside:
            if key in {"run.dir", "run.variants", "extends"} or key.startswith("run.variants."):
                what = f"variant `{name}` cannot set `{key}`"
                hint = f"its folder is `run.dir`/{name}" if key == "run.dir" else "take it away"
                yield Problem((*path, key), what, hint, "key")


_PATH = ("model", "new")
_OF_THE_DATA = ("num_labels", "id2label", "label2id", "problem_type")
_COUNTS = ("_layers", "_heads", "depths", "n_layer", "n_head")
_SIZES = ("_size", "_sizes", "_embeddings", "_positions", "n_embd", "n_positions")
_MOST_LAYERS, _LARGEST = 10_000, 10**9
_SEE = "see the architecture's configuration in transformers"


def check_new(settings: dict[str, Any]) -> Iterator[Problem]:
    """Yield values of ``model.new`` that are refused before anything is built.

    Transformers itself would build them and fail later: in the middle of the first step, or when the
    finished model is stored.
    """
    for name, value in settings.items():
        label = f"`model.new.{shorten(name)}`"
        if name in _OF_THE_DATA:
            yield Problem((*_PATH, name), f"{label} is known from the data", "take it away", "key")
        elif (wanted := _wanted(name)) is not None and not _fits(name, value):
            yield Problem((*_PATH, name), f"{label} must be {wanted}; got {shorten(str(value))}", _SEE)


def _wanted(name: str) -> str | None:
    """What values under such a name are, in words; None if nothing is known of it."""
    if name.endswith(_COUNTS):
        return f"from 1 to {_MOST_LAYERS:,}"
    if name.endswith(_SIZES):
        return f"from 1 to {_LARGEST:,}"
    if "dropout" in name:
        return "from 0 to 1"
    return "a token's number, from 0" if name.endswith("_token_id") else None


def _fits(name: str, value: Any) -> bool:
    if value is None:
        return True
    if isinstance(value, list):
        return bool(value) and all(_fits(name, one) for one in value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return name.startswith(("use_", "tie_")) or "classifier" in name
    if "dropout" in name:
        return 0 <= value <= 1
    if name.endswith("_token_id"):
        return isinstance(value, int) and 0 <= value < _LARGEST
    return 1 <= value <= (_MOST_LAYERS if name.endswith(_COUNTS) else _LARGEST)
