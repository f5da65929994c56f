"""The cheapest way that fits, or the change that would."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jobs import LLAMA_8B, LLAMA_70B, TINY, job

from tunesmith.errors import UserError
from tunesmith.plan.advice import advise
from tunesmith.plan.cost.memory import Sharding
from tunesmith.plan.recommend import USABLE, profile_name, recommend
from tunesmith.plan.workload import batch_division, memory_at

GIB = 2**30


@pytest.mark.parametrize(
    ("values", "rank", "processes", "gib", "profile"),
    [
        (TINY, 0, 1, 8, "gpu"),
        (TINY, 0, 8, 8, "node"),
        (LLAMA_8B, 16, 8, 80, "node"),
        (LLAMA_8B, 16, 2, 80, "node"),
        (LLAMA_70B, 16, 8, 80, "node_zero3"),
    ],
)
def test_the_cheapest_that_fits(
    values: dict[str, int], rank: int, processes: int, gib: int, profile: str
) -> None:
    choice = recommend(job(values, rank=rank), processes=processes, capacity=gib * GIB)
    assert choice.fits
    assert choice.profile == profile
    assert choice.memory.peak <= USABLE * gib * GIB


def test_with_adapters_it_says_why_nothing_is_sharded() -> None:
    assert "adapters" in recommend(job(LLAMA_8B, rank=16), processes=8, capacity=80 * GIB).why


def test_stages_come_in_order_as_memory_shrinks() -> None:
    one = job(LLAMA_8B, micro=1)
    stages = [
        recommend(one, processes=16, capacity=gib * GIB).sharding.stage for gib in (200, 100, 90, 60, 45)
    ]
    assert stages == sorted(stages)
    assert stages[0] == 0


def test_what_does_not_fit_is_told_the_least_change() -> None:
    tight = recommend(job(LLAMA_8B, rank=16, micro=8), processes=1, capacity=40 * GIB)
    assert tight.fits
    assert tight.changes
    assert tight.changes[0].startswith("batch.micro=")
    assert recommend(job(LLAMA_8B), processes=1, capacity=24 * GIB).changes[0] == "tune.lora={rank: 16}"


def test_where_nothing_helps_it_says_so() -> None:
    choice = recommend(job(LLAMA_70B), processes=1, capacity=8 * GIB)
    assert not choice.fits
    assert "nothing fits" in choice.why


def test_without_deepspeed_fsdp2_shards() -> None:
    choice = recommend(job(LLAMA_70B, rank=16), processes=8, capacity=80 * GIB, zero=False)
    assert choice.profile == "node_fsdp2"


def test_the_host_must_hold_what_is_offloaded() -> None:
    one = job(LLAMA_70B, rank=16, micro=1, checkpointing=True)
    roomy = recommend(one, processes=2, capacity=60 * GIB, host=500 * GIB)
    assert roomy.sharding.offload_parameters
    assert not recommend(one, processes=2, capacity=60 * GIB, host=20 * GIB).sharding.offload_parameters


def test_a_batch_that_cannot_be_divided_is_the_user_s_to_mend() -> None:
    with pytest.raises(UserError, match="cannot be divided among 3 processes"):
        recommend(job(TINY), processes=3, capacity=GIB)


@settings(deadline=None, max_examples=25)
@given(gib=st.integers(1, 200), rank=st.sampled_from([0, 16]), processes=st.sampled_from([1, 2, 8]))
def test_whatever_is_recommended_fits_with_its_changes(gib: int, rank: int, processes: int) -> None:
    choice = recommend(job(LLAMA_8B, rank=rank), processes=processes, capacity=gib * GIB)
    assert choice.fits == (choice.memory.peak <= USABLE * gib * GIB)
    more = recommend(job(LLAMA_8B, rank=rank), processes=processes, capacity=2 * gib * GIB)
    assert more.fits or not choice.fits


@pytest.mark.parametrize(
    ("sharding", "device", "machines", "name"),
    [
        (Sharding(stage=0, processes=1), "cpu", 1, "cpu"),
        (Sharding(stage=0, processes=2), "cpu", 1, "cpu_2proc"),
        (Sharding(stage=3, processes=2), "cpu", 1, "cpu_zero3"),
        (Sharding(stage=2, processes=8), "gpu", 1, "node_zero2"),
        (Sharding(stage=3, processes=16), "gpu", 2, "nodes_zero3"),
        (Sharding(stage=3, processes=8, offload_parameters=True), "gpu", 1, "node_zero3_offload"),
    ],
)
def test_profiles_have_the_names_of_the_shipped_ones(
    sharding: Sharding, device: str, machines: int, name: str
) -> None:
    from tunesmith.launch.profiles.profile import profile_names

    assert profile_name(sharding, device, machines) == name  # type: ignore[arg-type]
    assert name in profile_names()


def _advice(micro: int, gib: float, **changes: object) -> str:
    one = job(LLAMA_8B, rank=16, micro=micro, **changes)
    sharding = Sharding(stage=0, processes=1, engine="single")
    return advise(
        memory_at(one, sharding, "gpu"),
        one,
        capacity=gib * GIB,
        division=batch_division(one, 1),
        sharding=sharding,
        device="gpu",
    )


def test_advice_names_the_part_and_the_change_with_figures() -> None:
    text = _advice(32, 40)
    assert "is the activations (32 samples a pass)" in text
    assert "of 40.0 GiB" in text
    assert "What would fit: `batch.micro=" in text
    assert text.count("GiB") >= 3


def test_advice_where_the_weights_themselves_are_too_large() -> None:
    assert "nothing fits" in _advice(1, 8).lower()


def test_advice_where_the_figures_see_no_trouble() -> None:
    assert "By these figures it fits" in _advice(1, 80)
