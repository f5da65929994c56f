"""A judge behind a real HTTP server that speaks the protocol, and can be told to break it."""

import json
import math
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tunesmith.errors import UserError
from tunesmith.recipe.schema.eval import Judge
from tunesmith.tasks.task import Scored
from tunesmith.train.evaluate.chat_client import Endpoint, NoAnswer, complete
from tunesmith.train.evaluate.llm_judge import judge_answers, probe, prompt_of, score_of
from tunesmith.world.signals import Leaving


class Handler(BaseHTTPRequestHandler):
    """Scores an answer by its length; the first part of the path says how to misbehave."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        server = self.server
        assert isinstance(server, Server)
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        way, prompt = self.path.split("/")[1], asked["messages"][0]["content"]
        way = "500" if server.is_dead() else server.way or way
        server.asked.append((self.path, prompt, self.headers.get("Authorization", ""), asked["model"]))
        if way == "flaky":
            way = "500" if len(server.asked) % 3 else "ok"
        text = f"It is fine.\nScore: {min(10, len(prompt.rpartition('answer=')[2]))}"
        good = {"choices": [{"message": {"role": "assistant", "content": text}}]}
        bodies = {
            "badjson": b"<html>hello</html>",
            "schema": b'{"choices": []}',
            "number": b'{"choices": [{"message": {"content": 7}}]}',
            "noscore": json.dumps({"choices": [{"message": {"content": "very good"}}]}).encode(),
            "outside": json.dumps({"choices": [{"message": {"content": "Score: 70"}}]}).encode(),
            "huge": b" " * (3 << 20),
        }
        if way == "stalled503":
            self.send_response(503)
            self.send_header("Content-Length", "300")
            self.end_headers()
            self.wfile.write(b"busy")
            server.ending.wait(30)
        elif way == "cut503":
            self.send_response(503)
            self.send_header("Content-Length", "300")
            self.end_headers()
            self.wfile.write(b"busy")
            self.close_connection = True
        elif way == "slowhead":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
            while not server.ending.wait(0.2):
                self.wfile.write(b"a")
        elif way.isdigit():
            self.send_response(int(way))
            if way == "302":
                self.send_header("Location", f"http://127.0.0.1:{server.server_port}/ok/v1/chat/completions")
            self.send_header("Content-Length", "4")
            self.end_headers()
            self.wfile.write(b"oops")
        elif way == "hang":
            server.ending.wait(30)
        elif way == "drip":
            self.send_response(200)
            self.end_headers()
            while not server.ending.wait(0.2):
                self.wfile.write(b" ")
        else:
            body = bodies.get(way, json.dumps(good).encode())
            self.send_response(200)
            self.send_header("Content-Length", str(len(body) + (50 if way == "truncated" else 0)))
            self.end_headers()
            self.wfile.write(body)
            self.close_connection = way == "truncated"

    def log_message(self, *_: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[tuple[str, str, str, str]] = []
        self.way = ""
        self.is_dead: Callable[[], bool] = lambda: False
        self.ending = threading.Event()

    def handle_error(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.ending.set()
    server.shutdown()
    server.server_close()


def section(server: Server, way: str = "ok", **settings: object) -> Judge:
    plain = {"model": "m", "prompt": "{question}? answer={answer}", "scale": (0, 10), "timeout": 1.0}
    url = f"http://127.0.0.1:{server.server_port}/{way}/v1/"
    return Judge(**{"url": url, "retries": 0, "concurrency": 3, **plain, **settings})


def scored(*answers: str) -> list[Scored]:
    return [Scored(f"{n}", 0.0, 1, 1, answer, "ref", "why") for n, answer in enumerate(answers)]


def test_answers_are_scored_once_each_even_by_a_run_that_goes_on(server, tmp_path) -> None:
    judge = section(server)
    assert judge_answers(judge, tmp_path, scored("a", "bbbb", "a")) == [0.1, 0.4, 0.1]
    assert len(server.asked) == 2
    server.way = "500"  # what is known needs no server
    assert judge_answers(judge, tmp_path, scored("bbbb", "a")) == [0.4, 0.1]
    assert len(server.asked) == 2
    server.way = ""
    assert judge_answers(judge, tmp_path, scored("a", "ccccccc")) == [0.1, 0.7]
    assert [path for path, *_ in server.asked] == ["/ok/v1/chat/completions"] * 3


BROKEN = [
    ("500", "HTTP 500: oops"),
    ("401", "HTTP 401"),
    ("302", "HTTP 302"),
    ("badjson", "is not JSON"),
    ("schema", "no `choices[0].message.content`"),
    ("number", "is not text"),
    ("noscore", "no `Score: N`"),
    ("outside", "score 70 is not from 0 to 10"),
    ("truncated", "the answer ends after|IncompleteRead"),
    ("huge", "more than 1 MiB"),
    ("hang", "TimeoutError|timed out"),
    ("drip", "took too long"),
    ("stalled503", "HTTP 503"),
    ("cut503", "HTTP 503"),
    ("slowhead", "took too long"),
]


@pytest.mark.parametrize(("way", "what"), BROKEN, ids=[way for way, _ in BROKEN])
def test_whatever_is_broken_is_said_before_training_and_unknown_during_it(
    server, tmp_path, capsys, way, what
) -> None:
    started = time.monotonic()
    with pytest.raises(UserError, match="cannot be used") as caught:
        probe(section(server, way))
    assert any(word in caught.value.what for word in what.split("|")), caught.value.what
    assert time.monotonic() - started < 10
    values = judge_answers(section(server, way, concurrency=1), tmp_path, scored(*"abcdefghijkl"))
    assert all(map(math.isnan, values))
    assert "scored 0 of 12 answers" in capsys.readouterr().out
    assert len(server.asked) == 1 + 3, "after three in a row it asks no more"
    with pytest.raises(UserError, match="scored 0 of 1 answers"):
        judge_answers(section(server, way, on_failure="error"), tmp_path, scored("a"))
    assert all(path.startswith(f"/{way}/") for path, *_ in server.asked)


def test_a_closed_port(tmp_path, server) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(UserError, match="refused"):
        probe(section(server, url=f"http://127.0.0.1:{port}/v1"))


def test_a_server_that_fails_for_a_while_is_asked_again(server) -> None:
    judge = section(server, "flaky")
    endpoint = Endpoint(url=judge.url, model="m", timeout=1, retries=2)
    assert "Score: 3" in complete(endpoint, "answer=abc", pause=0.01)
    assert len(server.asked) == 3
    with pytest.raises(NoAnswer):
        complete(Endpoint(url=judge.url.replace("flaky", "404"), model="m", retries=5), "x")
    assert len(server.asked) == 4, "what will not pass is not asked again"


def test_the_key_comes_from_the_environment_and_stays_there(server, tmp_path, monkeypatch, capsys) -> None:
    judge = section(server, key_env="MY_JUDGE_KEY")
    monkeypatch.delenv("MY_JUDGE_KEY", raising=False)
    with pytest.raises(UserError, match="MY_JUDGE_KEY"):
        probe(judge)
    monkeypatch.setenv("MY_JUDGE_KEY", "planted-word-of-mine")
    with suppress(UserError):
        probe(judge)
    said = capsys.readouterr().out
    assert f"http://127.0.0.1:{server.server_port} is sent what stands in `MY_JUDGE_KEY`" in said
    assert "unencrypted" in said
    assert "planted" not in said
    server.asked.clear()
    judge_answers(judge, tmp_path, scored("a planted-word-of-mine"))
    assert server.asked[0][2] == "Bearer planted-word-of-mine"
    assert b"planted" not in (tmp_path / "judge.jsonl").read_bytes()


@pytest.mark.parametrize("way", ["hang", "slowhead", "500"])
def test_a_signal_is_heard_while_a_judge_is_waited_for(server, tmp_path, way) -> None:
    """What has come back is kept; what is under way is given up, the pauses between attempts too."""
    looks = []

    def look() -> None:
        looks.append(time.monotonic())
        if looks[-1] - looks[0] > 0.5:
            raise Leaving

    judge = section(server, way, timeout=60.0, retries=9)
    started = time.monotonic()
    with pytest.raises(Leaving):
        judge_answers(judge, tmp_path, scored("a", "b", "c", "d"), look)
    assert time.monotonic() - started < 10


@pytest.mark.parametrize(
    ("reply", "score"),
    [
        ("Score: 5", 0.5),
        ("5", 0.5),
        (" 5. ", 0.5),
        ("score = 10\nScore: 2.5", 0.25),
        ("**Score:** 10/10", 1.0),
    ],
)
def test_scores(reply, score) -> None:
    assert score_of(reply, (0, 10)) == score


@pytest.mark.parametrize("reply", ["", "good", "7 of 10", "Score: eleven", "Score: 11", "Score: -1", "nan"])
def test_what_is_no_score(reply) -> None:
    with pytest.raises(NoAnswer):
        score_of(reply, (0, 10))


def test_an_answer_cannot_fill_fields(server) -> None:
    judge = section(server, prompt="{question}|{answer}|{reference}")
    one = Scored("1", 0.0, 1, 1, "{reference} {0} {", "secret", "{answer}")
    assert prompt_of(judge, one) == "{answer}|{reference} {0} {|secret"


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 2])
def test_a_run(launcher, tmp_path, read, server, processes) -> None:
    """Judged by every process's first; it stops by the judge, and a dead judge makes the rule unknown."""
    url = f"http://127.0.0.1:{server.server_port}/ok/v1"
    judge = "eval.judge={url: '" + url + "', model: m, scale: [0, 10], timeout: 2s, retries: 0}"
    prompt = "eval.judge.prompt='{question} answer={answer}'"
    settings = [judge, prompt, "eval.metrics=[judge]", "eval.baseline=false"]
    rules = "stop=[{target: {judge: 0.3}}, {budget: {steps: 40}}]"
    launcher.run("causal-lm", *settings, rules, f"run.dir={tmp_path / 'run'}", processes=processes)
    records = read.journal(tmp_path / "run", "eval")
    assert 0 < records[-1]["metrics"]["judge"] <= 1
    assert len(records[-1]["intervals"]["judge"]) == 2
    prompts = Counter(prompt for _, prompt, _, _ in server.asked)
    assert max(prompts.values()) == 1, "nothing is asked twice"
    server.way = "500"
    no = launcher.run("causal-lm", *settings, rules, f"run.dir={tmp_path / 'no'}", status=2)
    assert "the judge at" in no.err
    assert not (tmp_path / "no" / "metrics.jsonl").exists()


@pytest.mark.slow
@pytest.mark.parametrize(("on_failure", "status"), [("unknown", 0), ("error", 2)])
def test_a_judge_that_dies_on_the_way(launcher, tmp_path, read, server, on_failure, status) -> None:
    url = f"http://127.0.0.1:{server.server_port}/ok/v1"
    judge = "eval.judge={url: '" + url + f"', model: m, timeout: 2s, retries: 0, on_failure: {on_failure}}}"
    prompt = "eval.judge.prompt='{answer} answer={reference}'"  # a new answer is asked for anew
    rules = "stop=[{target: {judge: 0.99}}, {budget: {steps: 40}}]"
    run_dir = tmp_path / "run"
    server.is_dead = (run_dir / "metrics.jsonl").exists  # it has scored the untuned model by then
    settings = ["causal-lm", judge, prompt, "eval.metrics=[judge]", rules, f"run.dir={run_dir}"]
    ended = launcher.run(*settings, status=status)
    if on_failure == "unknown":
        verdicts = [one["verdict"]["decision"] for one in read.journal(run_dir, "eval")]
        assert "unknown" in verdicts
        assert "metric `judge` is unknown" in ended.out
        return
    assert "the judge scored" in ended.err
    assert "Traceback" not in ended.err
    server.is_dead = lambda: False
    launcher.run(*settings)
