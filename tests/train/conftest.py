"""Runs that have ended, for the tests to look at."""

import importlib.util
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

SMOKE = Path(__file__).parents[2] / "recipes" / "smoke"


@pytest.fixture(scope="session")
def finished(launcher, tmp_path_factory):
    """The smoke recipe of each task, run to its end once; ``lora`` is tuned from the language model."""
    folder = tmp_path_factory.mktemp("finished")
    tasks = ("causal-lm", "sequence-classification", "regression", "image-classification")
    runs = {task: folder / task for task in tasks}
    started = [launcher.start(task, f"run.dir={runs[task]}", "eval.every=10 steps") for task in tasks]
    for launched in started:
        assert launched.wait() == 0, launched.err
    runs["lora"] = folder / "lora"
    (folder / "lora.yaml").write_text(LORA.replace("MODEL", str(runs["causal-lm"] / "model")))
    shutil.copy(SMOKE / "rows.py", folder / "more_rows.py")
    launcher.run(folder / "lora.yaml", f"run.dir={runs['lora']}")
    recipes = {task: SMOKE / f"{task}.yaml" for task in tasks} | {"lora": folder / "lora.yaml"}
    return SimpleNamespace(runs=runs, recipes=recipes, started=dict(zip(tasks, started, strict=True)))


@pytest.fixture(scope="session")
def lora_recipe(finished):
    """A recipe that tunes adapters."""
    return finished.recipes["lora"]


LORA = """\
task: causal-lm
model: {source: MODEL, dtype: float32}
data:
  train:
    source: python:more_rows:animals
    arguments: {count: 300}
    prompt: "The {animal} of {name} says"
    completion: sound
  eval: {holdout: 32}
tune: {lora: {rank: 4}}
optimizer: {learning_rate: 1e-2, warmup: 2}
batch: {size: 8}
eval: {every: 10 steps, metrics: [exact_match], generate: {max_new_tokens: 6}}
stop: [{budget: {steps: 20}}]
run: {seed: 3}
"""


@pytest.fixture(scope="session")
def mse_by_hand():
    """What a finished regressor gets wrong, worked out without the product's own evaluation."""

    def mse_by_hand(run_dir, launcher) -> float:
        """Mean squared error of ``model/`` on the held-out rows, by plain transformers."""
        import torch
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        from tunesmith.data.load import load_rows
        from tunesmith.recipe.load import load_recipe
        from tunesmith.recipe.tasks.table import spec_of

        recipe = load_recipe(run_dir / "recipe.yaml")
        folder = launcher.recipe("regression").parent
        rows = load_rows(recipe.data, spec_of(recipe.task).row_schema, recipe.run.seed, folder=folder).eval
        model = AutoModelForSequenceClassification.from_pretrained(run_dir / "model").eval()
        tokenizer = AutoTokenizer.from_pretrained(run_dir / "model")
        with torch.no_grad():
            said = [float(model(**tokenizer(row.fields["text"], return_tensors="pt")).logits) for row in rows]
        return sum((one - row.fields["target"]) ** 2 for one, row in zip(said, rows, strict=True)) / len(rows)

    return mse_by_hand


@pytest.fixture(scope="session")
def as_module():
    """A script beside the tests, which processes run too, as a module."""

    def loaded(script: Path):
        spec = importlib.util.spec_from_file_location(script.stem, script)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return loaded


@pytest.fixture(scope="module")
def alone():
    """One process."""
    from accelerate import Accelerator

    return Accelerator(cpu=True)
