"""Opening a run: what is there opens, and what is not says why."""

import json
from pathlib import Path

import pytest

from tunesmith.errors import UserError
from tunesmith.infer.open_run import LoadedRun, open_run, read_recipe


def unfinished(folder: Path, make, result=None, variants=None) -> Path:
    folder.mkdir()
    (folder / "recipe.yaml").write_text(make.RECIPE.format(task="causal-lm", fields="text: text"))
    for name, content in (("result.json", result), ("variants.json", variants)):
        if content is not None:
            (folder / name).write_text(content if isinstance(content, str) else json.dumps(content))
    return folder


@pytest.mark.parametrize(
    ("result", "variants", "words"),
    [
        (None, None, ["still going", "run the same command again"]),
        ("{half", None, ["still going"]),
        ({"status": "preempted"}, None, ["interrupted", "run the same command again"]),
        (
            {"status": "failed", "stop": {"reason": "no room left"}},
            None,
            ["failed: no room left", "report.html"],
        ),
        ({"status": "failed", "error": "OSError: no disk"}, None, ["failed: OSError: no disk"]),
        ({"status": "failed"}, None, ["it failed", "report.html"]),
        ({"status": "completed"}, None, ["although it finished", "--fresh"]),
        (None, {"variants": [{"dir": "head"}, {"dir": "whole"}]}, ["variants", "`head`, `whole`"]),
    ],
)
def test_a_run_without_a_model_says_why(tmp_path, result, variants, words, make) -> None:
    with pytest.raises(UserError) as caught:
        open_run(unfinished(tmp_path / "run", make, result, variants))
    assert [word for word in words if word not in str(caught.value)] == []


def test_other_folders_are_no_runs(tmp_path) -> None:
    for folder in (tmp_path, tmp_path / "gone"):
        with pytest.raises(UserError, match="not a run directory"):
            open_run(folder)


def test_the_recipe_is_read_without_its_data(language_run) -> None:
    recipe = read_recipe(language_run)
    assert recipe.task.name == "causal-lm"
    assert recipe.data.train[0].source == "/nowhere/gone.jsonl"


def test_words_of_the_recipe_stay_words(labels_run) -> None:
    assert read_recipe(labels_run).data.train[0].values["kind"]["2"] == "no"


def test_a_recipe_changed_by_hand_is_an_error_of_the_user(tmp_path, make) -> None:
    run = unfinished(tmp_path / "run", make)
    (run / "recipe.yaml").write_text("task: causal-lm\nmodle: {}\n")
    with pytest.raises(UserError):
        read_recipe(run)
    (run / "recipe.yaml").write_text("task: [causal-lm\n")
    with pytest.raises(UserError):
        read_recipe(run)


def test_a_broken_model_folder_is_an_error_of_the_user(tmp_path, make) -> None:
    run = unfinished(tmp_path / "run", make)
    (run / "model").mkdir()
    (run / "model" / "config.json").write_text('{"model_type": "llama"}')
    with pytest.raises(UserError, match="cannot be opened"):
        open_run(run)


def test_each_task_opens_with_what_it_needs(language_run, labels_run, images_run) -> None:
    language, labels, images = (open_run(run) for run in (language_run, labels_run, images_run))
    assert (language.templated, labels.templated) == (True, False)
    assert language.positions() == 256
    assert labels.labels() == ["ABBR", "HUM", "no"]
    assert (images.tokenizer, images.processor is None) == (None, False)
    assert not language.model.training


def test_positions_are_the_model_s_own() -> None:
    """A RoBERTa counts from behind its padding token: two positions fewer than its table has rows."""
    from types import SimpleNamespace

    from transformers import RobertaConfig

    config = RobertaConfig(max_position_embeddings=40, pad_token_id=1)
    opened = LoadedRun(Path(), None, SimpleNamespace(config=config), None, None)  # type: ignore[arg-type]
    assert opened.positions() == 38
