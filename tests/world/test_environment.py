"""The place of a process, read from real launchers' variables and from broken ones."""

import pytest

from tunesmith.errors import UserError
from tunesmith.world.environment import World, read_world

TORCHRUN = {
    "RANK": "5",
    "LOCAL_RANK": "1",
    "WORLD_SIZE": "8",
    "LOCAL_WORLD_SIZE": "4",
    "TORCHELASTIC_RUN_ID": "none",
}


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, World()),
        ({"PATH": "/bin", "RANK": ""}, World()),
        ({"ACCELERATE_MIXED_PRECISION": "no"}, World(launcher="accelerate")),
        (TORCHRUN, World(rank=5, local_rank=1, world_size=8, local_world_size=4, launcher="torchrun")),
        (
            TORCHRUN | {"ACCELERATE_MIXED_PRECISION": "bf16"},
            World(rank=5, local_rank=1, world_size=8, local_world_size=4, launcher="accelerate"),
        ),
        (
            {"RANK": "3", "LOCAL_RANK": "1", "WORLD_SIZE": "4", "LOCAL_SIZE": "2"},
            World(rank=3, local_rank=1, world_size=4, local_world_size=2),
        ),
        (
            {"RANK": "1", "LOCAL_RANK": "1", "WORLD_SIZE": "2"},
            World(rank=1, local_rank=1, world_size=2, local_world_size=2),
        ),
    ],
)
def test_place_is_read(environ: dict[str, str], expected: World) -> None:
    assert read_world(environ) == expected


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"RANK": "first"}, "`RANK` is `first`"),
        ({"WORLD_SIZE": "-2"}, "`WORLD_SIZE` is `-2`"),
        ({"WORLD_SIZE": "²"}, "`WORLD_SIZE` is `²`"),
        ({"RANK": "8"}, "RANK=8 in a world of WORLD_SIZE=8"),
        ({"LOCAL_RANK": "4"}, "LOCAL_RANK=4 with LOCAL_WORLD_SIZE=4"),
        ({"LOCAL_WORLD_SIZE": "16"}, "LOCAL_WORLD_SIZE=16"),
        ({"WORLD_SIZE": "0"}, "no processes"),
    ],
)
def test_broken_environment_is_named(change: dict[str, str], word: str) -> None:
    with pytest.raises(UserError) as caught:
        read_world(TORCHRUN | change)
    assert word in caught.value.what
    assert "accelerate launch" in caught.value.hint


def test_only_the_first_process_is_main_and_machines_are_counted() -> None:
    worlds = [World(rank=rank, local_rank=rank % 4, world_size=8, local_world_size=4) for rank in range(8)]
    assert [world.is_main for world in worlds] == [True] + [False] * 7
    assert {world.machines for world in worlds} == {2}
    assert World(world_size=5, local_world_size=4).machines == 2
