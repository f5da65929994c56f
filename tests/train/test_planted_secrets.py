"""Secrets planted wherever one can come in: none of them stands in any byte that comes out."""

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

DRAWN = "Zq3xV8nL2mK7pW4tR9sY6bD1"
IN_ENVIRONMENT = {
    "HF_TOKEN": f"hf_{DRAWN}hub",
    "HUGGING_FACE_HUB_TOKEN": f"hf_{DRAWN}old",
    "WANDB_API_KEY": "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c",
    "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7PLANTED",
    "AWS_SECRET_ACCESS_KEY": "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",
    "AWS_SESSION_TOKEN": f"IQoJb3JpZ2luX2Vj{DRAWN}",
    "OPENAI_API_KEY": f"sk-proj-{DRAWN}",
    "GITHUB_TOKEN": f"ghp_{DRAWN}forge",
    "GITLAB_PAT": f"glpat-{DRAWN}",
    "SLACK_BOT_TOKEN": "xoxb-planted-1234567890",
    "MLFLOW_TRACKING_PASSWORD": "tr0ub4dor-planted",
    "PLAIN_SECRET": "an ordinary sentence, planted",
    "ODD_SECRET": 'wörds "quoted" & planted',
    "MY_SERVICE_KEY": "hunter22planted",
    "DB_DSN": "postgres://me:dsn-planted@db.invalid/x",
    "DATABASE_URL": "postgres://me:url-planted@db.invalid/x",
    "PIP_EXTRA_INDEX_URL": "https://me:index-planted@index.invalid/simple",
    "HTTPS_PROXY_AUTH": "Basic cHJveHktcGxhbnRlZA==",
    "SESSION_COOKIE": "id=cookie-planted; secure",
    "DEPLOY_PRIVATE_KEY": f"-----BEGIN PRIVATE KEY-----\n{DRAWN}key\n-----END PRIVATE KEY-----",
    "API_JWT": "eyJhbGciOiJIUzI1NiJ9.eyJwbGFudGVkIjoxfQ.c2lnbmF0dXJl",
}
IN_ROWS = {
    "a token in a row": f"hf_{DRAWN}row",
    "a password in an address in a row": "row-word-planted",
    "a key in a row": f"sk-ant-{DRAWN}row",
    "an assignment in a row": "assigned-planted",
}
IN_GIT = "git-remote-planted"

RECIPE = """\
task: causal-lm
model:
  dtype: float32
  new: {model_type: llama, hidden_size: 16, intermediate_size: 32, num_hidden_layers: 1,
        num_attention_heads: 2, max_position_embeddings: 200}
  tokenizer: {train: {vocab_size: 300}}
data:
  train: {source: ./rows.jsonl, prompt: question, completion: answer}
  eval: {holdout: 6}
optimizer: {learning_rate: 1e-3}
batch: {size: 8}
eval: {every: 2 steps, metrics: [exact_match], generate: {max_new_tokens: 4}}
stop: [{budget: {steps: 4}}]
"""


def planted() -> dict[str, str]:
    """Name to the part that must not be seen; for addresses the password alone."""
    found = dict(IN_ENVIRONMENT) | IN_ROWS | {"a git remote": IN_GIT}
    for name, word in (("DB_DSN", "dsn"), ("DATABASE_URL", "url"), ("PIP_EXTRA_INDEX_URL", "index")):
        found[name] = f"{word}-planted"
    found["ODD_SECRET"] = "wörds"  # however the rest of it is escaped
    found["DEPLOY_PRIVATE_KEY"] = f"{DRAWN}key"
    return found


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A recipe in a repository whose remote has a password, with rows that have some, too."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "mine.yaml").write_text(RECIPE)
    questions = [
        f"the token is {IN_ROWS['a token in a row']} and {IN_ENVIRONMENT['PLAIN_SECRET']}",
        f"or else {IN_ENVIRONMENT['ODD_SECRET']}",
        "fetch https://me:" + IN_ROWS["a password in an address in a row"] + "@host.invalid/x",
        f"use {IN_ROWS['a key in a row']} there",
        f"set password={IN_ROWS['an assignment in a row']} first",
    ]
    rows = [{"question": f"{questions[i % 5]} for {i}", "answer": questions[i % 5]} for i in range(40)]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b.invalid", "-C", str(folder)]
    for command in (
        ["init", "-q"],
        ["remote", "add", "origin", f"https://me:{IN_GIT}@forge.invalid/x"],
        ["add", "."],
    ):
        subprocess.run([*git, *command], check=True)
    subprocess.run([*git, "commit", "-qm", "x"], check=True)
    return folder / "mine.yaml"


def seen_in(raw: bytes, secrets: dict[str, str]) -> list[str]:
    return [name for name, secret in secrets.items() if secret.encode() in raw]


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_enough_is_planted() -> None:
    assert len(planted()) >= 25


def test_a_whole_run_and_its_continuation(launcher, mine) -> None:
    """Everything printed and every file: log, plan, report, samples, recipe, model and checkpoints."""
    run_dir = mine.parent / "runs" / "mine"
    words = f"data.train.system={IN_ENVIRONMENT['PLAIN_SECRET']}"  # nothing tells that this one is a secret
    first = launcher.run(mine, words, cwd=mine.parent, **IN_ENVIRONMENT)
    again = launcher.run(mine, words, cwd=mine.parent, **IN_ENVIRONMENT)
    found = everything(run_dir) | {
        "out": (first.out + again.out).encode(),
        "err": (first.err + again.err).encode(),
    }
    assert len(found) > 15
    assert {name: seen for name, raw in found.items() if (seen := seen_in(raw, planted()))} == {}
    report = (run_dir / "report.html").read_text()
    assert "********" in report
    assert json.loads((run_dir / "environment.json").read_text())["git_commit"]


@pytest.mark.parametrize(
    ("arguments", "row"),
    [
        (["data.train.source=https://me:typed-planted@host.invalid/x"], None),
        (["data.train.source=/data/hf_TypedPlanted1234567890/rows.jsonl"], None),
        (["model.revision=ghp_TypedPlanted12345678901234"], None),
        (["model.token=typed-planted"], None),
        (["model.new.api_key=typed-planted"], None),
        (["model.new.service_key=typedPlanted1234567890"], None),
        (["data.train.arguments={password: typed-planted}"], None),
        (["data.train.arguments={password: typed-planted"], None),
        (["data.train.arguments={x: wJalrXUtnFEMI/K7MDENG/bPxRfiTypedPlanted}"], None),
        (["data.train.system=Bearer typedPlanted1234567890"], None),
        (["run.dir=runs/sk-proj-TypedPlanted1234567890"], None),
        (["run.variants={a: {data.train.arguments: {secret: typed-planted}}}"], None),
        (["data.train.system='-----BEGIN PRIVATE KEY-----\nTypedPlanted1234'"], None),
        (["data.train.prompt=an ordinary sentence, planted"], None),
        (["hf_TypedPlanted1234567890"], None),
        (["--token=hf_TypedPlanted1234567890"], None),
        ([], '{"question": "hf_TypedPlanted1234567890 torn'),
        ([], '{"question": "https://me:typed-planted@host.invalid", "answer": ["x"]}'),
        ([], '{"question": "an ordinary sentence, planted'),
    ],
)
@pytest.mark.matrix(sample=6)
def test_mistakes(launcher, mine, arguments, row) -> None:
    """A message quotes what is wrong, but for secrets; nothing that holds one is written."""
    if row is not None:
        (mine.parent / "rows.jsonl").write_text(row + "\n")
    done = launcher.run(mine, *arguments, cwd=mine.parent, status=2, **IN_ENVIRONMENT)
    said = {"out": done.out.encode(), "err": done.err.encode()}
    said |= {name: raw for name, raw in everything(mine.parent).items() if "/runs/" in name}
    secrets = planted() | {"typed": "typed-planted", "typed, drawn": "TypedPlanted"}
    assert {name: seen for name, raw in said.items() if (seen := seen_in(raw, secrets))} == {}
    assert "Traceback" not in done.err
    assert done.err.strip()


def test_a_fault(launcher, mine) -> None:
    """A traceback of a library, or of ours, with secrets in its words and in its lines of code."""
    (mine.parent / "boom.py").write_text(
        "import os\n"
        "class Rows(list):\n"
        "    features = {'x': 1}\n"
        "    def with_format(self, kind):\n"
        f"        raise BaseException('boom ' + ' '.join(os.environ.values()) + ' hf_{DRAWN}code')\n"
        "def make():\n"
        "    return Rows()\n"
    )
    done = launcher.start(mine, "data.train.source=python:boom:make", cwd=mine.parent, **IN_ENVIRONMENT)
    assert done.wait() == 1
    assert "Traceback" in done.err
    assert "boom" in done.err
    secrets = planted() | {"code": f"hf_{DRAWN}code"}
    files = {name: raw for name, raw in everything(mine.parent).items() if "/runs/" in name}
    found = {"out": done.out.encode(), "err": done.err.encode(), **files}
    assert {name: seen for name, raw in found.items() if (seen := seen_in(raw, secrets))} == {}


def command_lines(pid: int, seen: set[bytes], stop: threading.Event) -> None:
    """Gather the arguments of a process and of all that it starts."""
    while not stop.is_set():
        for folder in Path("/proc").iterdir():
            with contextlib.suppress(OSError, ValueError, IndexError):
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                if int(folder.name) == pid or parent == pid:
                    seen.add((folder / "cmdline").read_bytes())
        time.sleep(0.02)


def test_arguments_of_processes(tmp_path) -> None:
    """pip is started for a wheel, with an index whose password stands in the environment alone."""
    (tmp_path / "mine.yaml").write_text(
        RECIPE.replace("source: ./rows.jsonl", "source: pypi:no-such-project-of-ours==1.0/rows.jsonl")
    )
    environment = {
        **os.environ,
        **IN_ENVIRONMENT,
        "TUNESMITH_CACHE": str(tmp_path / "cache"),
        "PIP_NO_INDEX": "1",
    }
    command = [sys.executable, "-m", "tunesmith", "run", "mine.yaml"]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    run = subprocess.Popen(command, cwd=tmp_path, env=environment, text=True, **streams)
    seen: set[bytes] = set()
    stop = threading.Event()
    watcher = threading.Thread(target=command_lines, args=(run.pid, seen, stop))
    watcher.start()
    out, err = run.communicate(timeout=120)
    stop.set()
    watcher.join()
    assert run.returncode == 2, err
    assert any(b"download" in arguments for arguments in seen), seen
    assert [arguments for arguments in seen if seen_in(arguments, planted())] == []
    assert seen_in((out + err).encode(), planted()) == []
