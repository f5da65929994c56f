"""Fuzz the whole program: recipes, malformed rows and hostile files, each through a process of its own.

    python benchmarks/fuzz.py       # 10,000 recipes, 5,000 from the schema, 10,000 rows, 2,000 hostile files
    python benchmarks/fuzz.py --one recipe:1234

Every case must end with status 0 or 2, in time, without a traceback, with a message where the status is 2,
and without a file written, made or removed outside of its run directory (the cache of encoded rows and the
folder for temporary files aside). What does not is listed, grouped by its last words, and the status is 1.
"""

from __future__ import annotations

import argparse
import gc
import os
import random
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

from fuzz_files import MEMORY, a_place
from fuzz_recipes import a_recipe
from fuzz_rows import good_row, some_rows
from fuzz_schema import a_schema_recipe

SECONDS = 60
ROWS_A_FILE = 10
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
CHANGING = {
    "os.mkdir",
    "os.rename",
    "os.remove",
    "os.rmdir",
    "os.link",
    "os.symlink",
    "os.truncate",
    "os.chmod",
}


# Where the program and its libraries keep things of their own: there they may write (mlflow keeps a number).
FOLDERS = (("TUNESMITH_CACHE", "cache"), ("HF_HOME", "hf"), ("XDG_CONFIG_HOME", "config"))


@dataclass(frozen=True)
class Ended:
    """How a case ended, and what is wrong with that; nothing if all is well."""

    name: str
    status: int
    wrong: str
    said: str


def preload() -> None:
    """What every run imports, so that a case costs a fork."""
    import accelerate  # noqa: F401
    import datasets  # noqa: F401
    import peft  # noqa: F401
    import sklearn.metrics  # noqa: F401
    import transformers
    from transformers import AutoImageProcessor, AutoTokenizer, ViTImageProcessor  # noqa: F401

    import tunesmith.cli.main
    import tunesmith.cli.plan
    import tunesmith.metrics.statistics
    import tunesmith.report.page
    import tunesmith.train.run  # noqa: F401

    for name in ("LlamaForCausalLM", "BertForSequenceClassification", "ResNetForImageClassification"):
        getattr(transformers, name)


def write_case(name: str, folder: Path) -> tuple[list[str], str]:
    """The files of a case; gives the overrides and the command that it is given to."""
    import json

    kind, _, seed = name.partition(":")
    draw = random.Random(f"command {name}")
    if kind in ("recipe", "schema"):
        raw, overrides = a_recipe(int(seed)) if kind == "recipe" else (a_schema_recipe(int(seed)), [])
        rows = [good_row(index) for index in range(16)]
        (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif kind == "files":
        raw, overrides = a_place(int(seed), folder), []
    else:
        raw, file, content = some_rows(int(seed), ROWS_A_FILE)
        (folder / file).write_bytes(content)
        overrides = []
    (folder / "case.yaml").write_bytes(raw)
    return overrides, "run" if draw.random() < 0.15 else "plan"


def watch_writes(folder: Path, report: Path) -> None:
    """Note everything that is written outside of the case's run directories."""
    allowed = [str(folder / "runs"), "/dev/", "/proc/", tempfile.gettempdir() + "/own-"]
    allowed += [os.environ[name] for name, _ in FOLDERS]
    allowed += [str(report)]
    busy: list[bool] = []

    def note(event: str, arguments: tuple[object, ...]) -> None:
        if busy or (event not in CHANGING and event != "open"):
            return
        if event == "open" and not (isinstance(arguments[2], int) and arguments[2] & WRITING):
            return
        busy.append(True)
        if event in ("os.remove", "os.rmdir") and arguments[-1] != -1:
            return  # relative to a folder that is open, within a tree that is being removed
        for path in arguments[: 2 if event in ("os.rename", "os.link", "os.symlink") else 1]:
            if not isinstance(path, str | os.PathLike):  # a descriptor: it was opened before
                continue
            full = os.path.abspath(os.fspath(path))
            if not any(full == one or full.startswith(one) for one in allowed):
                with report.open("a") as out:
                    out.write(f"{event} {full}\n")
        busy.pop()

    sys.addaudithook(note)


def child(folder: Path, overrides: list[str], command: str, marks: Path, files: bool) -> None:
    """Become the program."""
    os.setsid()
    for descriptor, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(marks / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), descriptor)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.chdir(folder)
    tempfile.tempdir = str(marks / "tmp")
    os.environ["TMPDIR"] = tempfile.tempdir
    watch_writes(folder, marks / "writes")
    if files:
        mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (mapped + MEMORY, mapped + MEMORY))
    status = 1
    try:
        import tunesmith
        from tunesmith.cli.main import command_line

        if command == "run":
            sys.argv = ["case.yaml", *overrides]
            tunesmith.main("case.yaml")
        status = command_line(["plan", "case.yaml", *overrides])
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def wait_for(pid: int) -> int | None:
    """The exit status; None if the time is over, and then the whole group is gone."""
    deadline = time.monotonic() + SECONDS
    pause = 0.002
    while time.monotonic() < deadline:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(pause)
        pause = min(0.05, pause * 1.3)
    os.killpg(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return None


def snapshot(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def said_at_once(folder: Path, overrides: list[str]) -> str:
    """What a recipe is told that is refused when it is read; this costs no process of its own."""
    from tunesmith.cli.command import read_command
    from tunesmith.errors import UserError

    os.chdir(folder)
    try:
        read_command("case.yaml", overrides)
    except UserError as error:
        return str(error)
    except BaseException:  # a fault: the case goes to a process of its own, which tells it
        return ""
    return ""


def run_case(name: str, scratch: Path) -> Ended:
    folder, marks = scratch / "case", scratch / "marks"
    for path in (folder, marks):
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir()
    (marks / "tmp").mkdir()
    overrides, command = write_case(name, folder)
    before = snapshot(folder)
    if command == "plan" and (said := said_at_once(folder, overrides)):
        wrong = complaint(2, said) or ("" if snapshot(folder) == before else "written outside: the inputs")
        return Ended(f"{name} (read)", 2, wrong, said)
    pid = os.fork()
    if pid == 0:
        child(folder, overrides, command, marks, files=name.startswith("files:"))
    status = wait_for(pid)
    said = (marks / "err").read_text(errors="replace")
    ended = [
        line for line in (marks / "out").read_text(errors="replace").splitlines() if "The run failed" in line
    ]
    said = said or "\n".join(ended)  # a run that went to its end and failed says so where it says all else
    writes = [
        line
        for line in ((marks / "writes").read_text().splitlines() if (marks / "writes").exists() else [])
        if str(marks / "tmp") not in line
    ]
    wrong = complaint(status, said)
    if not wrong and (writes or snapshot(folder) != before):
        wrong = f"written outside: {writes[0] if writes else 'the inputs'}"
    return Ended(f"{name} ({command})", -1 if status is None else status, wrong, said)


def complaint(status: int | None, said: str) -> str:
    if status is None:
        return f"no end within {SECONDS} s"
    if status not in (0, 2):
        last = [line for line in said.splitlines() if line.strip()]
        place = re.findall(r'File ".*?/(?:src/)?(tunesmith/[^"]+)", line (\d+)', said)
        at = ":".join(place[-1]) if place else ""
        return f"status {status} at {at}: {last[-1][:160] if last else 'nothing said'}"
    if "Traceback" in said:
        return "a traceback"
    if status == 2 and not said.strip():
        return "status 2 without a message"
    if status == 2 and len(said) > 20_000:
        return "a message without an end"
    return ""


def work(names: list[str], scratch: Path, out: Path) -> None:
    """One worker: its cases one after the other; what came of them goes to a file."""
    import json

    with out.open("w") as file:
        for name in names:
            ended = run_case(name, scratch)
            record = [
                ended.name,
                ended.status,
                ended.wrong,
                ended.said[-3000:] if ended.wrong else ended.said[:400],
            ]
            file.write(json.dumps(record) + "\n")
            file.flush()


def fuzz(names: list[str], workers: int, scratch: Path) -> list[Ended]:
    """Run all cases on so many workers."""
    import json

    for name, folder in FOLDERS:
        os.environ[name] = str(scratch / folder)
        (scratch / folder).mkdir()
    os.environ |= {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    preload()
    gc.collect()
    gc.freeze()  # a fork then copies fewer pages
    pids = []
    for index in range(workers):
        place = scratch / f"worker-{index}"
        place.mkdir()
        pid = os.fork()
        if pid == 0:
            work(names[index::workers], place, scratch / f"{index}.jsonl")
            os._exit(0)
        pids.append(pid)
    for pid in pids:
        os.waitpid(pid, 0)
    lines = [line for index in range(workers) for line in (scratch / f"{index}.jsonl").open()]
    return [Ended(*json.loads(line)) for line in lines]


def summary(ended: list[Ended]) -> str:
    statuses = Counter(one.status for one in ended)
    lines = [f"{len(ended)} cases: " + ", ".join(f"{n} with status {s}" for s, n in sorted(statuses.items()))]
    groups: dict[str, list[Ended]] = defaultdict(list)
    for one in ended:
        if one.wrong:
            groups[one.wrong].append(one)
    for wrong, some in sorted(groups.items(), key=lambda item: -len(item[1])):
        lines += [f"{len(some):5} {wrong}", f"      e.g. {', '.join(one.name for one in some[:3])}"]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recipes", type=int, default=10_000)
    parser.add_argument("--schema", type=int, default=5_000, help="recipes drawn from the published schema")
    parser.add_argument("--rows", type=int, default=10_000, help="malformed rows, ten in a file")
    parser.add_argument("--files", type=int, default=2_000, help="bombs, archives, pictures, odd names")
    parser.add_argument("--start", type=int, default=0, help="the first seed")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument(
        "--one", action="append", default=[], help="recipe:SEED, schema:SEED, rows:SEED or files:SEED"
    )
    parser.add_argument("--messages", type=int, default=0, help="print so many of the commonest messages")
    options = parser.parse_args()
    names = list(options.one)
    if not names:
        names += [f"recipe:{options.start + index}" for index in range(options.recipes)]
        names += [f"schema:{options.start + index}" for index in range(options.schema)]
        names += [f"rows:{options.start + index}" for index in range(-(-options.rows // ROWS_A_FILE))]
        names += [f"files:{options.start + index}" for index in range(options.files)]
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="own-fuzz-") as scratch:
        ended = fuzz(names, options.workers, Path(scratch))
    print(summary(ended))
    print(f"{time.monotonic() - started:.0f} s on {options.workers} processes")
    if options.messages:
        words = Counter(re.sub(r"`[^`]*`|[0-9]+", "_", one.said.split("\n")[0])[:100] for one in ended)
        print("\n".join(f"{count:6} {first}" for first, count in words.most_common(options.messages)))
    if options.one:
        print("\n".join(one.said for one in ended))
    return int(any(one.wrong for one in ended) or len(ended) != len(names))


if __name__ == "__main__":
    sys.exit(main())
