"""Number types, from the recipe, the profile and the hardware."""

import pytest
import torch

from tunesmith.model.precision import choose_dtype, cpu_multiplies_bfloat16, fastest_dtype

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("wanted", "profile", "expected"),
    [
        ("float32", "bf16", torch.float32),
        ("bfloat16", "no", torch.bfloat16),
        ("float16", "bf16", torch.float16),
        ("auto", "bf16", torch.bfloat16),
        ("auto", "fp16", torch.float16),
        ("auto", "fp8", torch.bfloat16),
    ],
)
def test_the_recipe_comes_before_the_profile(wanted, profile, expected) -> None:
    assert choose_dtype(wanted, profile, CPU) == expected


@pytest.mark.parametrize("profile", ["no", "something new"])
@pytest.mark.parametrize("has", [False, True])
def test_else_the_hardware_decides(monkeypatch, profile, has) -> None:
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False, raising=False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: has, raising=False)
    assert cpu_multiplies_bfloat16() is has
    assert choose_dtype("auto", profile, CPU) == (torch.bfloat16 if has else torch.float32)


def test_a_torch_without_the_probes_means_float32(monkeypatch) -> None:
    for probe in ("_is_amx_tile_supported", "_is_avx512_bf16_supported"):
        monkeypatch.delattr(torch.cpu, probe, raising=False)
    assert fastest_dtype(CPU) == torch.float32


def test_other_devices_keep_float32() -> None:
    assert fastest_dtype(torch.device("mps")) == torch.float32


@pytest.mark.parametrize("has", [False, True])
def test_a_gpu_is_asked(monkeypatch, has) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: has)
    assert fastest_dtype(torch.device("cuda")) == (torch.bfloat16 if has else torch.float32)
