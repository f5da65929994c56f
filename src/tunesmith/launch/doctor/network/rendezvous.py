"""From what the doctor's ranks said to findings: who came, who met, how fast they reduced; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tunesmith.launch.doctor.finding import DoctorFinding
from tunesmith.launch.doctor.network.ranks import Order

SILENT = 2.0  # seconds without a sign of life
_SKEW = 2.0
_SLOW_WITHIN, _SLOW_BETWEEN = 0.2e9, 0.1e9  # bytes a second

_INTERFACE = (
    "name the network between the machines: export GLOO_SOCKET_IFNAME=... NCCL_SOCKET_IFNAME=... "
    "(`ip -br addr` lists them), and open every port between them in the firewall"
)


@dataclass(slots=True)
class Rank:
    """What is known of one rank.

    Attributes:
        said: what it has come to, in order: ``came``, ``met``, ``reduced``, ``failed``.
        told: everything it told with these.
        heard: when it was last heard of, by the doctor's clock.
    """

    said: list[str] = field(default_factory=list)
    told: dict[str, Any] = field(default_factory=dict)
    heard: float = 0.0


def note_event(ranks: Mapping[int, Rank], event: Mapping[str, Any], now: float) -> None:
    """Take in one line of a rank."""
    rank = ranks.get(int(event["rank"]))
    if rank is None:
        return
    rank.heard = now
    if event["what"] != "alive":
        rank.said.append(str(event["what"]))
        rank.told.update({key: value for key, value in event.items() if key not in ("rank", "what")})


def everybody(ranks: Mapping[int, Rank], what: str) -> bool:
    """Whether all ranks have come to that point."""
    return all(what in rank.said for rank in ranks.values())


def judge_meeting(
    ranks: Mapping[int, Rank], order: Order, *, now: float, seconds: float
) -> list[DoctorFinding]:
    """What the doctor says when all ranks are done, or its time is up.

    Args:
        ranks: by number.
        order: what they were to do.
        now: the doctor's clock.
        seconds: that it has waited.
    """
    several = order.world > order.local
    between = [*_clocks(ranks), *_folder(ranks), *_versions(ranks)] if several else []
    return [_reached(ranks, order, now=now, seconds=seconds), *between]


def _reached(ranks: Mapping[int, Rank], order: Order, *, now: float, seconds: float) -> DoctorFinding:
    backend = "NCCL" if order.gpu else "gloo"
    if everybody(ranks, "reduced"):
        return _bandwidth(ranks, order, backend)
    waited = f"within {seconds:.0f} s"
    absent = [number for number, rank in ranks.items() if "came" not in rank.said]
    if absent:
        what = f"{_names(absent, ranks)} did not come {waited}, of {order.world}"
        return DoctorFinding(
            "processes", "problem", what, "see that machine's load, memory and limits (`ulimit -u`)"
        )
    silent = [n for n, r in ranks.items() if "failed" not in r.said and now - r.heard > SILENT]
    if silent:
        what = f"{_names(silent, ranks)} came, and then gave no sign of life; the others waited for it"
        return DoctorFinding(
            "processes", "problem", what, "see what holds that process: `ps -o pid,stat,wchan -p PID`"
        )
    failed = [number for number, rank in ranks.items() if "failed" in rank.said]
    if failed:
        what = f"{_names(failed, ranks)}: {ranks[failed[0]].told['reason']}"
        return DoctorFinding(
            "processes", "problem", what, _remedy(str(ranks[failed[0]].told["reason"]), order)
        )
    apart = [number for number, rank in ranks.items() if "met" not in rank.said]
    if apart:
        what = f"{_names(apart, ranks)} did not meet rank 0 at {order.address}:{order.port} {waited}"
        return DoctorFinding("processes", "problem", what, _INTERFACE)
    what = (
        f"all {order.world} ranks met, but {backend} did not carry {order.megabytes} MB between them {waited}"
    )
    return DoctorFinding("processes", "problem", what, _INTERFACE)


def _remedy(reason: str, order: Order) -> str:
    if "EADDRINUSE" in reason or "address already in use" in reason.lower():
        return (
            f"port {order.port} is taken: `ss -ltnp | grep {order.port}` names by whom; choose another port"
        )
    if "resolve" in reason or "Name or service" in reason or "getaddrinfo" in reason:
        return "the machine's own name leads nowhere: add it to /etc/hosts, or export GLOO_SOCKET_IFNAME=lo"
    return _INTERFACE if order.world > order.local else "see that machine's load, memory and limits"


def _bandwidth(ranks: Mapping[int, Rank], order: Order, backend: str) -> DoctorFinding:
    """How fast each rank sends: in a ring 2(n-1)/n of the tensor (arXiv 1802.05799, section 3)."""
    slowest = max(float(rank.told["seconds"]) for rank in ranks.values())
    size = order.megabytes * 1024**2
    rate = 2 * (order.world - 1) / order.world * size / max(slowest, 1e-9)
    wrong = [number for number, rank in ranks.items() if not rank.told["right"]]
    if wrong:
        what = f"{backend} gave {_names(wrong, ranks)} a wrong sum"
        return DoctorFinding(
            "processes", "problem", what, "a faulty device or network: leave that machine out"
        )
    took = f"{slowest * 1000:.0f} ms over {backend} ({rate / 1e9:.2f} GB/s)"
    what = f"{order.world} processes met and reduced {order.megabytes} MB in {took}"
    between = order.world > order.local
    if rate < (_SLOW_BETWEEN if between else _SLOW_WITHIN):
        remedy = _INTERFACE if between else "other programs take the cores: end them, or use fewer processes"
        return DoctorFinding("processes", "warning", f"{what}: slow", remedy)
    return DoctorFinding("processes", "ok", what)


def _clocks(ranks: Mapping[int, Rank]) -> Iterable[DoctorFinding]:
    """All ranks looked at their clocks in the moment in which the last one came."""
    clocks = {str(rank.told["host"]): float(rank.told["clock"]) for rank in _met(ranks)}
    if len(clocks) < 2:
        return
    early, late = min(clocks, key=clocks.__getitem__), max(clocks, key=clocks.__getitem__)
    skew = clocks[late] - clocks[early]
    if skew > _SKEW:
        what = f"the clock of {late} is {skew:.1f} s ahead of that of {early}"
        yield DoctorFinding("clocks", "warning", what, "set both by NTP: `timedatectl set-ntp true`")
    else:
        yield DoctorFinding("clocks", "ok", f"the machines' clocks agree within {skew:.1f} s")


def _folder(ranks: Mapping[int, Rank]) -> Iterable[DoctorFinding]:
    met = _met(ranks)
    blind = sorted({str(rank.told["host"]) for rank in met if not rank.told["sees"]})
    if blind:
        what = f"{', '.join(blind)} does not see the run directory"
        remedy = "put `run.dir` (and the recipe) on a file system that every machine mounts at the same path"
        yield DoctorFinding("shared folder", "problem", what, remedy)
    elif met:
        yield DoctorFinding("shared folder", "ok", "every machine that came sees the run directory")


def _versions(ranks: Mapping[int, Rank]) -> Iterable[DoctorFinding]:
    versions: dict[str, list[str]] = {}
    for rank in ranks.values():
        if "torch" in rank.told:
            versions.setdefault(str(rank.told["torch"]), []).append(str(rank.told["host"]))
    if len(versions) > 1:
        what = "; ".join(f"torch {version} on {hosts[0]}" for version, hosts in sorted(versions.items()))
        yield DoctorFinding(
            "versions", "problem", what, "use one environment, on a file system that all machines see"
        )


def _met(ranks: Mapping[int, Rank]) -> Sequence[Rank]:
    return [rank for rank in ranks.values() if "met" in rank.said]


def _names(numbers: Sequence[int], ranks: Mapping[int, Rank]) -> str:
    shown = []
    for number in numbers[:4]:
        told = ranks[number].told
        where = f" (process {told['pid']} on {told['host']})" if "pid" in told else ""
        shown.append(f"rank {number}{where}")
    more = f" and {len(numbers) - 4} more" if len(numbers) > 4 else ""
    return ", ".join(shown) + more
