"""Runs are found wherever they lie below the folder, and nothing else is."""

import errno
import json
import os
import shutil
import time

import pytest

from tunesmith.ui.run_index import SHORTEST_PAUSE, RunIndex


def look(shelf: RunIndex, after: int = 0) -> dict:
    time.sleep(SHORTEST_PAUSE)
    return shelf.changes(after)


def names(found: dict) -> list[str]:
    return sorted(run["name"] for run in found["runs"])


def test_what_is_a_run(runs) -> None:
    assert names(RunIndex(runs).changes(0)) == [
        "deep/er/third",
        "first",
        "second",
        "three ways & more",
        "three ways & more/head",
        "three ways & more/last stage",
        "three ways & more/whole",
    ]
    assert names(RunIndex(runs / "first").changes(0)) == ["first"]


def test_links_lead_nowhere(runs, tmp_path, make_run) -> None:
    make_run(tmp_path / "outside")
    (runs / "link").symlink_to(tmp_path / "outside")
    (runs / "loop").symlink_to(runs)
    assert "link" not in names(RunIndex(runs).changes(0))


def test_what_a_line_says(runs) -> None:
    [run] = [run for run in RunIndex(runs).changes(0)["runs"] if run["name"] == "second"]
    assert run["phase"] == "ended"
    assert (run["tone"], run["state"]) == ("good", "Good enough")
    assert run["headline"] == "Good enough at step 40: exact_match 0.87 reached 0.85"
    assert (run["metric"], run["target"], run["baseline"], run["step"]) == ("exact_match", 0.85, 0.046, 40)
    assert run["value"] == 0.046 + 0.84 * (1 - 2.718281828459045**-4)


def test_only_what_changed_is_told(runs, make_run) -> None:
    shelf = RunIndex(runs)
    first = shelf.changes(0)
    assert look(shelf, first["revision"]) == {
        "revision": first["revision"],
        "runs": [],
        "gone": [],
        "whole": True,
    }
    result = json.loads((runs / "first" / "result.json").read_text())
    result["stop"]["reason"] = "something else"
    (runs / "first" / "result.json").write_text(json.dumps(result))
    make_run(runs / "new", steps=5)
    second = look(shelf, first["revision"])
    assert names(second) == ["first", "new"]
    shutil.rmtree(runs / "new")
    third = look(shelf, second["revision"])
    assert (third["runs"], len(third["gone"])) == ([], 1)
    make_run(runs / "new", steps=5)
    fourth = look(shelf, third["revision"])
    assert (names(fourth), fourth["gone"]) == (["new"], [])


def test_a_run_that_goes_on(runs, write, until, monkeypatch) -> None:
    monkeypatch.setattr("tunesmith.ui.run_index.AGAIN", 0.1)
    shelf = RunIndex(runs)
    process = write(runs / "live", steps=60, pause=0.002)
    until(lambda: (runs / "live" / "metrics.jsonl").read_text().count("eval") == 7, "seven evaluations")
    [run] = [run for run in shelf.changes(0)["runs"] if run["name"] == "live"]
    assert (run["phase"], run["state"], run["step"], run["last_step"]) == ("running", "Running", 60, 200)
    assert (run["baseline"], run["value"], run["interval"]) == (0.0, 0.6, [0.54, 0.6])
    process.kill()
    process.wait()
    [run] = [run for run in look(shelf)["runs"] if run["name"] == "live"]
    assert (run["phase"], run["state"]) == ("lost", "Lost")
    assert "is gone" in run["detail"]


def test_an_earlier_result_is_not_that_of_a_run_that_goes_on(runs, write) -> None:
    (runs / "live").mkdir()
    (runs / "live" / "result.json").write_text(
        '{"status": "preempted", "stop": {"reason": "a signal", "step": 3}}'
    )
    write(runs / "live", steps=10)
    [run] = [run for run in RunIndex(runs).changes(0)["runs"] if run["name"] == "live"]
    assert run["phase"] == "running"
    assert run["headline"].startswith("No verdict yet")


def test_rubbish_is_listed_and_breaks_nothing(runs) -> None:
    for index, (name, text) in enumerate(
        [
            ("recipe.yaml", "a: [b\n\t- : :"),
            ("recipe.yaml", "stop: &a [*a, *a]\ntask: [1]\neval: 7"),
            ("recipe.yaml", "stop: !!python/object/apply:os.system [exit]"),
            ("result.json", "[" * 5000),
            (
                "result.json",
                '{"status": 7, "stop": [], "best": "x", "baseline": {"metrics": {"loss": "NaN"}}}',
            ),
            (
                "metrics.jsonl",
                '{"kind": "eval", "step": 5, "metrics": {"loss": NaN}, "intervals": 3, "verdict": []}\n',
            ),
            ("metrics.jsonl", "\0\0\0"),
            ("variants.json", '{"variants": [1], "metric": null}'),
        ]
    ):
        (runs / f"bad{index}").mkdir()
        (runs / f"bad{index}" / name).write_text(text)
    (runs / "not-text").mkdir()
    os.rename(runs / "not-text", os.fsencode(runs) + b"/\xff\xfe")
    os.mkdir(os.fsencode(runs) + b"/\xff\xfe/run")
    with open(os.fsencode(runs) + b"/\xff\xfe/run/recipe.yaml", "w") as file:
        file.write("task: causal-lm\n")
    found = RunIndex(runs).changes(0)
    json.dumps(found, allow_nan=False).encode()
    bad = [run for run in found["runs"] if run["name"].startswith("bad")]
    assert len(bad) == 8
    assert [run["reason"] for run in bad if run["state"] == "Cannot be read"] == []
    assert any(run["name"].endswith("/run") for run in found["runs"])


@pytest.mark.parametrize("name", ["result.json", "metrics.jsonl", "recipe.yaml", "owner.lock"])
@pytest.mark.parametrize("kind", ["pipe", "link", "hole"])
def test_pipes_links_and_holes_hold_nobody_up(runs, tmp_path, name: str, kind: str) -> None:
    (tmp_path / "outside").write_text("task: OUTSIDE\n")
    (runs / "odd").mkdir()
    path = runs / "odd" / name
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "link":
        path.symlink_to(tmp_path / "outside")
    else:
        with path.open("wb") as file:
            file.truncate(3 << 30)
    began = time.process_time()
    found = RunIndex(runs).changes(0)
    assert time.process_time() - began < 3
    assert {"first", "second"} < set(names(found))
    assert "OUTSIDE" not in json.dumps(found)


def test_a_folder_that_became_a_link_is_not_followed(runs, tmp_path, make_run) -> None:
    shelf = RunIndex(runs)
    keys = {run["name"]: run["id"] for run in shelf.changes(0)["runs"]}
    assert shelf.find(keys["first"]) == runs / "first"
    shutil.move(runs / "first", tmp_path / "outside")
    (runs / "first").symlink_to(tmp_path / "outside")
    assert shelf.find(keys["first"]) is None


def test_a_folder_that_may_not_be_looked_into_says_so(runs, monkeypatch) -> None:
    """As it is for anybody but root."""
    (runs / "private").mkdir()
    for name in ("listdir", "scandir"):
        monkeypatch.setattr(os, name, refusing(getattr(os, name)))
    found = {run["name"]: run for run in RunIndex(runs).changes(0)["runs"]}
    assert found["private"]["state"] == "Cannot be read"
    assert "Permission denied" in found["private"]["reason"]
    assert "first" in found


def refusing(function):
    def call(path):
        if str(path).endswith("private"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return function(path)

    return call
