"""Only tunesmith's own unfinished work is tidied away; what a user put into a run directory stays."""

import pytest

from tunesmith.checkpoint.atomic import publish_folder, staging_folder
from tunesmith.checkpoint.names import is_temporary, original_path, replaced_path, temporary_path, under_way
from tunesmith.checkpoint.run_dir import recover, refuse_links
from tunesmith.errors import UserError

OF_USERS = [
    "checkpoints.old-before/x",
    "notes.tmp-1/x",
    "notes.tmp-1-0a1b2c3d/x",
    "notes.old-0a1b2c3d",
    "model.old-mine/x",
    "model.old-12/x",
    "result.json.tmp-x",
    "checkpoints/step-00000002.old-mine/x",
    "checkpoints/mine.tmp-1-0a1b2c3d",
    "best/step-00000002.tmp-copy/x",
    "mine/model.tmp-1-0a1b2c3d/x",
    "mine/looks/step-00000001.old-0a1b2c3d/x",
    "trackers/wandb/files.tmp-1-0a1b2c3d",
    "model/result.json.tmp-1-0a1b2c3d",
]


@pytest.mark.parametrize("name", OF_USERS)
def test_what_a_user_put_there_stays(tmp_path, name):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("mine")
    assert recover(tmp_path) == []
    assert path.read_text() == "mine"


def test_a_model_published_again_leaves_copies_of_it_alone(tmp_path):
    for content in ("old", "new"):
        temporary = staging_folder(tmp_path / "model")
        (temporary / "a").write_text(content)
        (tmp_path / "model.old-mine").mkdir(exist_ok=True)
        publish_folder(temporary, tmp_path / "model", replace=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "model.old-mine"]


@pytest.mark.parametrize(
    "name",
    [
        "model", "adapter", "looks", "recipe.yaml", "plan.txt", "metrics.jsonl", "judge.jsonl",
        "rows.jsonl", "report.html", "environment.json", "scores.jsonl", "baseline_scores.jsonl",
        "baseline_test_scores.jsonl", "test_scores.jsonl", "confusion.json", "variants.json",
        "checkpoints/step-00000001", "best/step-123456789", "looks/step-00000000",
        "looks/scored-00000004", "looks/scorer.json", "heartbeats/11.json", "requests/save",
        "slurm/job.json", "slurm/job.sbatch", "trackers/wandb.json",
    ],
)  # fmt: skip
def test_what_was_being_written_goes(tmp_path, name):
    final = tmp_path / name
    final.parent.mkdir(exist_ok=True)
    for path in (temporary_path(final), temporary_path(replaced_path(final))):
        path.write_text("half")
    assert len(list(under_way(tmp_path))) == 2
    assert len(recover(tmp_path)) == 2
    assert not list(final.parent.iterdir())


def test_names_tell_what_they_are(tmp_path):
    path = tmp_path / "model"
    assert is_temporary(temporary_path(path))
    assert original_path(replaced_path(path)) == path
    assert original_path(temporary_path(path)) is None
    assert not is_temporary(tmp_path / "x.tmp-1")


def test_a_tracker_may_link_its_own_files_and_nothing_else(tmp_path):
    run, files = tmp_path / "run", tmp_path / "run" / "trackers" / "wandb"
    (files / "offline-run-1").mkdir(parents=True)
    (files / "latest-run").symlink_to("offline-run-1")
    (files / "debug.log").symlink_to(files / "offline-run-1" / "debug.log")
    (files / "of-another-place").symlink_to("/gone/run/trackers/wandb/offline-run-1")
    (tmp_path / "cache.log").write_text("of W&B's own process")
    (files / "debug-core.log").symlink_to(tmp_path / "cache.log")
    refuse_links(run)
    for place, target in (
        (files / "out", tmp_path),
        (run / "trackers" / "mlflow", files),
        (run / "link", run / "trackers"),
        (run / "best", tmp_path / "nowhere"),
    ):
        place.symlink_to(target)
        with pytest.raises(UserError, match="symbolic link"):
            refuse_links(run)
        place.unlink()
