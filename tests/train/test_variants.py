"""Variants of a recipe, on a base model that another recipe makes; a table compares them."""

import shutil

import pytest

pytestmark = pytest.mark.slow

BASE = """\
extends: ./image-classification.yaml
optimizer: {learning_rate: 1e-3}
stop: [{budget: {steps: 12}}]
run: {dir: runs/base}
"""

VARIANTS = """\
task: image-classification
model: {source: ./base.yaml, dtype: float32}
data:
  train: {source: "python:bar_rows:bars", arguments: {count: 300}, image: image, label: label}
  eval: {holdout: 60, stratify: label}
  clean: {duplicates: keep, leakage: keep}
optimizer: {learning_rate: 5e-3, warmup: 2}
batch: {size: 16}
eval: {every: 6 steps, metrics: [accuracy]}
stop: [{budget: {steps: 18}}]
run:
  dir: runs/bars
  variants:
    head: {tune: {layers: head}}
    whole: {tune: {layers: all}}
"""


@pytest.fixture(scope="module")
def folder(launcher, tmp_path_factory):
    """A folder with both recipes."""
    folder = tmp_path_factory.mktemp("variants")
    smoke = launcher.recipe("image-classification")
    text = smoke.read_text().replace("python:rows:", "python:bar_rows:")
    (folder / smoke.name).write_text(text)
    shutil.copy(smoke.parent / "rows.py", folder / "bar_rows.py")
    (folder / "base.yaml").write_text(BASE)
    (folder / "bars.yaml").write_text(VARIANTS)
    return folder


@pytest.fixture(scope="module")
def made(launcher, folder):
    return launcher.run(folder / "bars.yaml", cwd=folder)


def test_the_base_is_made_first_and_once(made, folder, read):
    assert made.out.count("first, the base model: ") == 1
    assert made.out.index("first, the base model") < made.out.index("evaluation at step 0")
    assert read.json(folder / "runs" / "base" / "result.json")["status"] == "completed"
    for name in ("head", "whole"):
        source = folder / "runs" / "base" / "model"
        assert f"source: {source}" in (folder / "runs" / "bars" / name / "recipe.yaml").read_text()


def test_all_variants_start_from_the_base_model(made, folder, read):
    def loss(run, part):
        return read.json(folder / "runs" / run / "result.json")[part]["metrics"]["loss"]

    # The base knows the task already, a little; the variants begin where it ended, on other rows.
    assert loss("bars/head", "baseline") == loss("bars/whole", "baseline")
    assert loss("bars/head", "baseline") == pytest.approx(loss("base", "best"), rel=0.3)


def test_the_table_compares_them(made, folder, read):
    table = read.json(folder / "runs" / "bars" / "variants.json")
    assert (
        [row["name"] for row in table["variants"]]
        == [row["dir"] for row in table["variants"]]
        == ["head", "whole"]
    )
    head, whole = table["variants"]
    assert head["trained_parameters"] == 34 < whole["trained_parameters"]
    for row in table["variants"]:
        result = read.json(folder / "runs" / "bars" / row["dir"] / "result.json")
        assert row["metrics"] == result["best"]["metrics"]
        assert row["seconds"] == result["throughput"]["seconds"]
        lines = [
            line
            for line in made.out.splitlines()
            if row["name"] in line and f"{row['trained_parameters']:,}" in line
        ]
        assert len(lines) == 1
        assert f"{row['metrics']['accuracy']:.4f}" in lines[0]
    report = (folder / "runs" / "bars" / "report.html").read_text()
    assert "head" in report
    assert "whole" in report


def test_with_the_head_alone_nothing_else_moves(made, folder):
    from safetensors.torch import load_file

    runs = folder / "runs"
    base, head, whole = (
        load_file(runs / n / "model" / "model.safetensors") for n in ("base", "bars/head", "bars/whole")
    )
    moved = {name for name, value in head.items() if not value.equal(base[name])}
    assert moved == {"classifier.1.weight", "classifier.1.bias"}
    statistics = {
        name for name in base if name.endswith(("running_mean", "running_var", "num_batches_tracked"))
    }
    assert statistics
    assert statistics <= {name for name, value in whole.items() if not value.equal(base[name])}


def test_again_does_nothing_twice(made, launcher, folder, read):
    runs = ["base", "bars/head", "bars/whole"]
    before = {name: read.tree(folder / "runs" / name) for name in runs}
    again = launcher.run(folder / "bars.yaml", cwd=folder)
    assert again.out.count("already finished") == 2
    assert {name: read.tree(folder / "runs" / name) for name in runs} == before


def test_what_was_not_finished_is_gone_on_with(made, launcher, folder, read):
    whole = folder / "runs" / "bars" / "whole"
    weights = read.weights(whole)
    (whole / "result.json").unlink()
    shutil.rmtree(whole / "model")
    again = launcher.run(folder / "bars.yaml", cwd=folder)
    assert again.out.count("already finished") == 1
    assert "continuing at step 18" in again.out
    assert read.weights(whole) == weights


def test_fresh_makes_all_variants_anew(made, launcher, folder, read):
    before = read.tree(folder / "runs" / "bars")
    launcher.run(folder / "bars.yaml", "--fresh", "stop=[{budget: {steps: 2}}]", cwd=folder)
    assert {path.name for path in (folder / "runs" / "bars-2").iterdir()} == {
        "head", "whole", "variants.json", "report.html"
    }  # fmt: skip
    assert read.tree(folder / "runs" / "bars") == before


def test_variants_do_not_write_into_another_runs_directory(made, launcher, folder, read):
    base = folder / "runs" / "base"
    before = read.tree(base)
    refused = launcher.run(folder / "bars.yaml", f"run.dir={base}", cwd=folder, status=2)
    assert "variants need a folder of their own" in refused.err
    assert read.tree(base) == before


def test_two_processes_make_the_same_table(made, launcher, folder, read):
    launcher.run(
        folder / "bars.yaml", "run.dir=runs/two", "stop=[{budget: {steps: 2}}]", cwd=folder, processes=2
    )
    table = read.json(folder / "runs" / "two" / "variants.json")
    assert [row["name"] for row in table["variants"]] == ["head", "whole"]


def test_a_plan_for_each_variant(made, folder, launcher):
    printed = launcher.command("plan", "bars.yaml", "run.threads=1", cwd=folder)
    for name in ("head", "whole"):
        assert f"variant {name}\n{(folder / 'runs' / 'bars' / name / 'plan.txt').read_text()}" in printed.out


def test_a_plan_before_the_base_was_made(folder, tmp_path, launcher):
    for name in ("bars.yaml", "base.yaml", "image-classification.yaml", "bar_rows.py"):
        shutil.copy(folder / name, tmp_path)
    printed = launcher.command("plan", "bars.yaml", "run.threads=1", cwd=tmp_path, status=2)
    assert "the base model is made by another recipe, which has not been run here" in printed.err
    assert f"tunesmith run {tmp_path}/base.yaml" in printed.err
    assert "Traceback" not in printed.err
