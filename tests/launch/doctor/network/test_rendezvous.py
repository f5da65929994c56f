"""What several machines' ranks said, judged: clocks, shared folder, versions, bandwidth."""

import pytest

from tunesmith.launch.doctor.finding import DoctorFinding
from tunesmith.launch.doctor.network.ranks import Order
from tunesmith.launch.doctor.network.rendezvous import Rank, judge_meeting, note_event

ORDER = Order(world=4, local=2, node=0, port=1, address="a", megabytes=32)


def told(**changes: dict) -> dict[int, Rank]:
    """Four ranks on two machines, all well but for the changes: ``a`` and ``b`` hold what a machine tells."""
    ranks = {number: Rank() for number in range(4)}
    for number in range(4):
        host = "ab"[number // 2]
        good = {"host": host, "pid": 100 + number, "torch": "2.13", "clock": 5.0, "sees": True}
        good |= {"seconds": 0.05, "right": True} | changes.get(host, {}) | changes.get(f"r{number}", {})
        for what in good.pop("said", ("came", "met", "reduced")):
            note_event(ranks, {"rank": number, "what": what, **good}, now=good.get("heard", 10.0))
    return ranks


def found(ranks: dict[int, Rank], now: float = 10.0) -> dict[str, DoctorFinding]:
    return {each.subject: each for each in judge_meeting(ranks, ORDER, now=now, seconds=10)}


def test_all_well() -> None:
    assert {each.state for each in found(told()).values()} == {"ok"}
    # 2 * 3/4 of 32 MB in 50 ms
    assert "1.01 GB/s" in found(told())["processes"].what


@pytest.mark.parametrize(
    ("changes", "subject", "state", "words"),
    [
        ({"b": {"clock": 65.0}}, "clocks", "warning", "the clock of b is 60.0 s ahead of that of a"),
        ({"b": {"clock": 6.5}}, "clocks", "ok", "agree"),
        ({"b": {"sees": False}}, "shared folder", "problem", "b does not see the run directory"),
        ({"b": {"torch": "2.9"}}, "versions", "problem", "torch 2.13 on a; torch 2.9 on b"),
        ({"a": {"seconds": 2.0}}, "processes", "warning", "slow"),
        ({"r3": {"right": False}}, "processes", "problem", "rank 3 (process 103 on b) a wrong sum"),
        ({"b": {"said": ()}}, "processes", "problem", "rank 2, rank 3 did not come within 10 s, of 4"),
        ({"b": {"said": ("came",)}}, "processes", "problem", "did not meet rank 0 at a:1"),
        (
            {"a": {"said": ("came", "met")}, "b": {"said": ("came", "met")}},
            "processes",
            "problem",
            "all 4 ranks met, but gloo did not carry 32 MB",
        ),
        (
            {"r1": {"said": ("came", "met"), "heard": 3.0}},
            "processes",
            "problem",
            "rank 1 (process 101 on a)",
        ),
        (
            {"b": {"said": ("came", "failed"), "reason": "DistNetworkError: timed out"}},
            "processes",
            "problem",
            "timed out",
        ),
    ],
)
def test_what_is_wrong_is_named(changes, subject, state, words) -> None:
    each = found(told(**changes))[subject]
    assert each.state == state
    assert words in each.what
    assert each.remedy or state == "ok"


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("DistNetworkError: The server socket has failed to listen: EADDRINUSE", "port 1 is taken"),
        ("RuntimeError: Unable to resolve hostname to a (local) address", "/etc/hosts"),
        ("RuntimeError: something else", "SOCKET_IFNAME"),
    ],
)
def test_a_failure_has_the_remedy_that_fits(reason: str, words: str) -> None:
    ranks = told(b={"said": ("came", "failed"), "reason": reason})
    assert words in found(ranks)["processes"].remedy
