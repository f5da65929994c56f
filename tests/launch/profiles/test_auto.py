"""``--on auto``: the plan's choice for machines that this one need not be."""

from pathlib import Path

import pytest

from tunesmith.errors import UserError
from tunesmith.launch.profiles.auto import choose_profile, recommend_profile
from tunesmith.prepare.hardware import Hardware
from tunesmith.recipe.load import load_recipe

SMOKE = Path(__file__).parents[3] / "recipes" / "smoke" / "causal-lm.yaml"
GIB = 2**30


def test_this_machine_s_own_choice_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    profile = choose_profile(load_recipe(SMOKE), SMOKE.parent)
    assert profile.name in ("cpu", "gpu", "node")
    assert f"choice     {profile.name}: " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("gpus", "batch", "profile", "processes"),
    [(0, 16, "cpu", 1), (1, 16, "gpu", 1), (4, 16, "node", 4), (8, 12, "node", 6), (8, 7, "node", 7)],
)
def test_all_devices_that_the_batch_can_be_shared_among(
    gpus: int, batch: int, profile: str, processes: int
) -> None:
    here = Hardware(gpus, 8 * GIB if gpus else None, "", 32 * GIB)
    choice = recommend_profile(load_recipe(SMOKE, [f"batch.size={batch}"]), SMOKE.parent, here)
    assert (choice.profile, choice.sharding.processes) == (profile, processes)


def test_what_does_not_fit_is_told_before_anything_is_launched() -> None:
    tiny = Hardware(0, None, "", 30 * 2**20)
    with pytest.raises(UserError, match="finds no way to run this recipe here"):
        choose_profile(load_recipe(SMOKE), SMOKE.parent, tiny)
