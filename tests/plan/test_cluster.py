"""Forecasts for clusters: what must hold, and what published rates say."""

import runpy
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from jobs import LLAMA_8B, LLAMA_70B, TINY, job

from tunesmith.plan.cluster import COUNTS, cluster_table, estimate_on_cluster, sized
from tunesmith.plan.cost.communication import Communication
from tunesmith.plan.cost.step_time import link_rate, step_time
from tunesmith.plan.devices import parse_cluster

H100 = parse_cluster("1x8xH100")
A100 = parse_cluster("8xA100-40GB")


def test_an_8b_model_whole_on_eight_h100() -> None:
    each = estimate_on_cluster(job(LLAMA_8B, batch=512), H100)
    assert each.choice.fits
    assert each.choice.sharding.stage >= 2
    assert 0.15 < each.utilisation < 0.6
    assert each.hours(1000, 512) == pytest.approx(1000 * each.time.total / 3600)


def test_adapters_are_not_sharded_where_the_weights_fit() -> None:
    assert estimate_on_cluster(job(LLAMA_8B, rank=16), H100).choice.sharding.stage == 0


def test_a_70b_model_whole_asks_for_many_devices() -> None:
    few = estimate_on_cluster(job(LLAMA_70B), parse_cluster("8xH100")).choice
    many = estimate_on_cluster(job(LLAMA_70B, checkpointing=True, micro=1), parse_cluster("16x8xH100")).choice
    assert not few.fits or few.changes or few.sharding.offload_parameters
    assert many.fits
    assert many.sharding.stage == 3
    assert not many.changes


def test_the_table_goes_from_1_to_512_and_loses_efficiency_on_the_way() -> None:
    rows = cluster_table(job(LLAMA_8B, rank=16), H100)
    assert [each.cluster.size for each in rows] == list(COUNTS)
    assert rows[-1].cluster.machines == 64
    rates = [each.rate for each in rows]
    # More devices are never much slower together; each of them is never much faster than alone.
    assert all(later > 0.95 * earlier for earlier, later in pairwise(rates))
    assert all(each.rate / each.cluster.size < 1.05 * rates[0] for each in rows)
    assert {each.time.bound for each in rows} <= {"arithmetic", "memory", "network"}


def test_a_batch_that_cannot_be_shared_is_raised_and_said_to_be() -> None:
    each = estimate_on_cluster(job(TINY, batch=12), parse_cluster("4x8xH100"))
    assert each.raised
    assert each.division.size == 32
    assert not estimate_on_cluster(job(TINY, batch=64), parse_cluster("4x8xH100")).raised


def test_offload_costs_time() -> None:
    rows = {each.cluster.size: each for each in cluster_table(job(LLAMA_70B, rank=16, micro=1), A100, (4, 8))}
    assert rows[4].choice.sharding.offload_parameters
    assert rows[4].rate / 4 < rows[8].rate / 8


@pytest.mark.parametrize(("text", "rate"), [("8xH100", 450e9), ("2x8xH100", 400e9), ("2x1xH100", 50e9)])
def test_between_machines_their_network_is_shared(text: str, rate: float) -> None:
    assert link_rate(parse_cluster(text)) == pytest.approx(0.75 * rate)


def test_what_takes_longest_bounds_the_step() -> None:
    quiet, busy = (
        Communication(step=0, micro=0, collectives=1),
        Communication(step=1e13, micro=0, collectives=1),
    )
    settings: dict[str, Any] = {"accumulation": 1, "stored_bytes": 1e6, "kept_bytes": 0.0, "updated": 0}
    assert step_time(H100, quiet, flops=1e15, **settings).bound == "arithmetic"
    assert step_time(H100, busy, flops=1e15, **settings).bound == "network"
    reading = {**settings, "stored_bytes": 1e11}
    assert step_time(H100, quiet, flops=1e12, **reading).bound == "memory"


def test_published_rates_are_met_as_the_documents_say() -> None:
    """docs/scaling.md: half of the rows within 10 %, nine of ten within a third."""
    script = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "published.py"))
    errors = sorted(abs(script["predicted"](row) / row.measured - 1) for row in script["ROWS"])
    assert len(errors) > 40
    assert errors[len(errors) // 2] < 0.10
    assert errors[int(0.9 * len(errors))] < 0.34


def test_machines_are_filled_before_there_are_more() -> None:
    assert [str(sized(H100, count)) for count in (1, 4, 8, 16)] == [
        "1x1xH100",
        "1x4xH100",
        "1x8xH100",
        "2x8xH100",
    ]
