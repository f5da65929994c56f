"""The server over real connections: what it answers, to whom, and what it never gives."""

import json
import os
import signal
import socket
import subprocess
import sys
from urllib.parse import quote

import pytest

from tunesmith.report.score_files import write_scores
from tunesmith.tasks.task import Scored
from tunesmith.ui.connections import MOST_CONNECTIONS, Connections

DATA = [
    "/",
    "/app.js",
    "/app.css",
    "/api/runs",
    "/api/curve?id=x",
    "/report/x",
    "/compare?ids=x",
    "/anything",
]


@pytest.mark.parametrize("target", DATA)
@pytest.mark.parametrize(
    "headers", [{}, {"Cookie": "tunesmith=the-token"}, {"Authorization": "Bearer the-token"}]
)
def test_nothing_without_the_token(site, target: str, headers: dict) -> None:
    answer = site.ask(target, known=False, **headers)
    assert answer.status == 401
    assert "with its token" in answer.text
    assert "exact_match" not in answer.text


@pytest.mark.parametrize("token", ["", "wrong", "the-toke", "the-tokenn", "the-token%00", "%ff"])
def test_a_wrong_token(site, token: str) -> None:
    answer = site.ask(f"/?token={token}", known=False)
    assert answer.status == 401
    assert answer.headers["Set-Cookie"] is None


def test_the_right_token_becomes_a_cookie_and_leaves_the_address(site) -> None:
    answer = site.ask("/?token=the-token", known=False)
    assert (answer.status, answer.headers["Location"]) == (303, "/")
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert site.ask("/", known=False, Cookie=cookie.partition(";")[0]).status == 200


def test_without_tokens_other_names_of_this_address_are_refused(runs, open_site) -> None:
    visitor = open_site(runs, None)
    assert visitor.ask("/api/runs").status == 200
    assert visitor.ask("/api/runs", Host="rebound.example").status == 401


@pytest.mark.parametrize("target", DATA)
def test_every_answer_is_shut_off(site, target: str) -> None:
    headers = site.ask(target).headers
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy.replace("style-src 'unsafe-inline'", "")
    assert "frame-ancestors 'none'" in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_nothing_can_be_changed(site, method: str) -> None:
    assert site.ask("/api/runs", method=method).status == 501


def test_head_gives_no_body(site) -> None:
    answer = site.ask("/", method="HEAD")
    assert (answer.status, answer.text) == (200, "")
    assert int(answer.headers["Content-Length"]) > 500


SECRET = [
    "../notes/secret.txt",
    "..%2fnotes%2fsecret.txt",
    "notes/secret.txt",
    "%2e%2e/%2e%2e/etc/passwd",
    "/etc/passwd",
    "first/../notes",
    "first/metrics.jsonl",
    "\\..\\notes\\secret.txt",
    "....//notes",
    "%00",
    "first%00.html",
]


@pytest.mark.parametrize("path", SECRET)
def test_no_path_leads_to_a_file(site, path: str) -> None:
    known = site.ids()["first"]
    for target in (
        f"/{path}",
        f"/app.js/{path}",
        f"/report/{path}",
        f"/report/{known}/{path}",
        f"/report/{known}/../{path}",
        f"/api/curve?id={path}",
        f"/compare?ids={known},{path}",
    ):
        answer = site.ask(target)
        assert answer.status == 404, target
        assert "secret" not in answer.text
        assert "root:" not in answer.text


def test_curves_come_once(site, runs) -> None:
    key = site.ids()["first"]
    whole = site.json(f"/api/curve?id={key}")
    assert whole["train"]["step"] == list(range(1, 41))
    assert [one["step"] for one in whole["evals"]] == [0, 10, 20, 30, 40]
    assert whole["evals"][-1]["decision"] == "stop"
    inode, offset = whole["place"]
    more = site.json(f"/api/curve?id={key}&inode={inode}&offset={offset}")
    assert (more["train"]["step"], more["evals"], more["anew"]) == ([], [], False)
    with (runs / "first" / "metrics.jsonl").open("a") as file:
        file.write('{"kind": "train", "step": 41, "loss": 0.5}\n{"kind": "train", "step": 42, "lo')
    assert site.json(f"/api/curve?id={key}&inode={inode}&offset={offset}")["train"]["step"] == [41]


@pytest.mark.parametrize(
    "place", ["inode=x&offset=-5", "inode=9&offset=99999999999999999999999", "offset=%FF"]
)
def test_places_that_make_no_sense(site, place: str) -> None:
    found = site.json(f"/api/curve?id={site.ids()['first']}&{place}")
    assert len(found["train"]["step"]) == 40


def test_a_long_run_is_thinned_and_keeps_its_spike(site, runs) -> None:
    lines = [
        json.dumps({"kind": "train", "step": n, "loss": 99 if n == 7001 else 1}) for n in range(1, 12_001)
    ]
    (runs / "first" / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    train = site.json(f"/api/curve?id={site.ids()['first']}")["train"]
    assert len(train["step"]) <= 1500
    assert train["loss"][train["step"].index(7001)] == 99
    assert (train["step"][0], train["step"][-1]) == (1, 12_000)


def test_the_report_of_each_run(site) -> None:
    ids = site.ids()
    answer = site.ask(f"/report/{ids['first']}")
    assert answer.status == 200
    assert "Good enough at step 40" in answer.text
    assert "sandbox allow-scripts" in answer.headers["Content-Security-Policy"]
    parent = ids["three ways & more"]
    assert "./last%20stage/report.html" in site.ask(f"/report/{parent}/report.html").text
    assert site.ask(f"/report/{parent}/last%20stage/report.html").status == 200
    assert site.ask(f"/report/{parent}/first/report.html").status == 404


def test_a_page_that_compares(site, runs) -> None:
    for name, right in (("first", 30), ("second", 45)):
        rows = [
            Scored(f"q:{n}", 1.0, 1, int(n < right), "a" if n < right else "b", "a", "") for n in range(50)
        ]
        write_scores(runs / name / "scores.jsonl", rows)
    ids = site.ids()
    page = site.ask(f"/compare?ids={ids['first']},{ids['second']}")
    assert "second is better than first by exact_match (p &lt; 0.001)" in page.text
    assert "sandbox" in page.headers["Content-Security-Policy"]
    refused = site.ask(f"/compare?ids={ids['first']},{ids['deep/er/third']}&metric=bleu")
    assert refused.status == 422
    assert refused.text.startswith("`bleu` was not measured in every run\nhint: ")


def test_only_changes_after_the_first_answer(site) -> None:
    first = site.json("/api/runs")
    assert first["all"]
    again = site.json(f"/api/runs?boot={first['boot']}&after={first['revision']}")
    assert (again["all"], again["runs"]) == (False, [])
    assert len(site.json(f"/api/runs?boot=other&after={first['revision']}")["runs"]) == 7


def test_a_run_that_cannot_be_read_is_a_word_and_not_a_crash(site, runs, capsys) -> None:
    key = site.ids()["first"]
    (runs / "first" / "metrics.jsonl").unlink()
    (runs / "first" / "metrics.jsonl").mkdir()
    assert site.ask(f"/api/curve?id={key}").status in (200, 500)
    assert site.ask(f"/report/{key}").status == 200
    assert site.ask("/api/runs").status == 200


def test_a_visitor_who_says_nothing_holds_up_nobody(site) -> None:
    with socket.create_connection(site.address) as silent:
        silent.send(b"GET / HT")
        assert site.ask("/api/runs").status == 200


def test_packed_where_the_browser_can_unpack(site) -> None:
    answer = site.ask("/app.js", **{"Accept-Encoding": "gzip"})
    assert answer.headers["Content-Encoding"] == "gzip"


def test_names_of_other_alphabets(site, runs, make_run) -> None:
    make_run(runs / "été 中文 \u202e x", steps=5)
    name = "été 中文 \u202e x"
    assert site.ask(f"/report/{site.ids()[name]}").status == 200
    assert site.ask(f"/report/{quote(name)}").status == 404


def test_the_command_until_it_is_interrupted(runs) -> None:
    code = "from tunesmith.cli.main import run; run()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "ui", str(runs), "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "COLUMNS": "200"},
    )
    try:
        line = process.stdout.readline()
        assert line.startswith(f"runs of {runs}: http://127.0.0.1:")
        assert len(line.rpartition("?token=")[2].strip()) == 32
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
        assert process.returncode == 0
        assert (out, err.strip()) == ("", "Ctrl-C ends it; runs go on.")
    finally:
        process.kill()
        process.wait()


def test_a_port_that_is_taken(site, runs) -> None:
    code = "from tunesmith.cli.main import run; run()"
    command = [sys.executable, "-c", code, "ui", str(runs), "--port", str(site.address[1])]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "cannot listen on 127.0.0.1" in done.stderr
    assert "choose another `--port`" in done.stderr
    assert "Traceback" not in done.stderr


def test_idle_and_half_requests_do_not_use_up_the_descriptors(site) -> None:
    idle = []
    for number in range(3 * MOST_CONNECTIONS):
        one = socket.create_connection(site.address, timeout=10)
        one.sendall(b"GET / HTTP/1.1\r\nHost: " if number % 2 else b"")
        idle.append(one)
    assert [site.ask("/api/runs").status for _ in range(5)] == [200] * 5
    assert len(site.server.connections) <= MOST_CONNECTIONS
    for one in idle:
        one.close()


def test_who_is_being_answered_keeps_the_place() -> None:
    pairs = [socket.socketpair() for _ in range(4)]
    first, second, third, fourth = (ours for ours, _ in pairs)
    places = Connections(most=2)
    assert places.admit(first)
    assert places.admit(second)
    places.asks(first)
    assert places.admit(third)  # in the place of the second
    assert pairs[1][1].recv(1) == b""
    places.asks(third)
    assert not places.admit(fourth)
    places.waits(first)
    assert places.admit(fourth)
    for ours, theirs in pairs:
        ours.close()
        theirs.close()
