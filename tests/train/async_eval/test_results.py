"""A result that is written while the run ends, and removes everything that was to be scored."""

import shutil

import pytest

from tunesmith.checkpoint.manifest import write_manifest
from tunesmith.judge.measurement import Measurement, Progress
from tunesmith.train.async_eval import mailbox
from tunesmith.train.evaluate.score import Evaluation

PROGRESS = Progress(step=4, epoch=0.5, tokens=100, seconds=1.0)
EVALUATION = Evaluation(Measurement(progress=PROGRESS, metrics={"loss": 1.0}, examples=3, seconds=0.1), ())


@pytest.fixture
def look(tmp_path):
    folder = mailbox.request_folder(tmp_path, 4)
    folder.mkdir(parents=True)
    write_manifest(folder, mailbox.describe_request("a", PROGRESS, None))
    return mailbox.read_request(tmp_path, 4)


def test_it_is_there_if_the_run_goes_on(tmp_path, look):
    assert mailbox.write_result(tmp_path, look, EVALUATION, {})
    assert mailbox.is_scored(tmp_path, 4)


def test_a_folder_that_goes_away_meanwhile_is_one_that_the_run_gave_up(tmp_path, look):
    def ends(path):
        shutil.rmtree(tmp_path / mailbox.FOLDER)
        path.write_text("")

    assert not mailbox.write_result(tmp_path, look, EVALUATION, {}, ends)
    assert not (tmp_path / mailbox.FOLDER).exists()


def test_another_missing_file_is_a_fault(tmp_path, look):
    with pytest.raises(FileNotFoundError):
        mailbox.write_result(tmp_path, look, EVALUATION, {}, lambda path: (path / "gone").read_text())
