"""Known-bad versions, from the table alone: nothing is installed or removed for it."""

from importlib import metadata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet

from tunesmith.launch.doctor.requirements import Requirements
from tunesmith.launch.doctor.versions import KNOWN_BAD, check_versions, judge_versions

GOOD = {"torch": "2.13.0+cpu", "transformers": "5.23.0", "peft": "0.21.2", "accelerate": "1.15.0"}
REQUIRED = [
    "torch>=2.10",
    "transformers>=5.0",
    "peft>=0.17",
    "accelerate>=1.10",
    'deepspeed>=0.18; extra == "zero"',
    'bitsandbytes>=0.46; extra == "quantized"',
    'pytest>=8; extra == "dev"',
]


@pytest.mark.parametrize(
    ("change", "words", "remedy"),
    [
        ({"torch": "2.5.1"}, "CVE-2025-32434", "torch>=2.10"),
        ({"torch": "2.9.1+cu128"}, "CVE-2026-24747", "torch>=2.10"),
        ({"peft": "0.17.1"}, "HybridCache", "peft>=0.18"),
        ({"lightning": "2.6.3"}, "malicious", "lightning>2.6.3"),
        ({"bitsandbytes": "0.45.0"}, "4-bit", "bitsandbytes>=0.46"),
        ({"transformers": "4.57.3"}, "is not one that tunesmith works with (>=5.0)", "transformers>=5.0"),
        ({"accelerate": "1.9.0"}, "(>=1.10)", "accelerate>=1.10"),
        ({"accelerate": None}, "not installed", "accelerate>=1.10"),
    ],
)
def test_a_bad_version_is_named_with_its_remedy(change, words, remedy) -> None:
    installed = {name: version for name, version in (GOOD | change).items() if version is not None}
    found = judge_versions(installed, REQUIRED, Requirements())
    assert any(words in each.what and remedy in each.remedy for each in found), found
    assert all(each.state == "problem" for each in found)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"torch": "2.10.0"},
        {"torch": "2.14.0.dev20261101+cu130"},
        {"peft": "0.18.0"},
        {"lightning": "2.6.1"},
        # Two packages are bad only together.
        {"numpy": "2.4.6"},
    ],
)
def test_good_versions_are_not_complained_of(change) -> None:
    assert judge_versions(GOOD | change, REQUIRED, Requirements()) == []


@pytest.mark.parametrize(
    ("needs", "words", "remedy"),
    [
        (
            Requirements(deepspeed=True),
            "deepspeed is not installed",
            "--no-build-isolation 'tunesmith[zero]'",
        ),
        (Requirements(quantized=True), "bitsandbytes is not installed", "tunesmith[quantized]"),
    ],
)
def test_what_a_profile_or_a_recipe_needs_must_be_there(needs, words, remedy) -> None:
    (found,) = judge_versions(GOOD, REQUIRED, needs)
    assert words in found.what
    assert remedy in found.remedy


@pytest.mark.parametrize("bad", KNOWN_BAD, ids=lambda bad: f"{bad.package} {bad.versions}")
def test_the_table_can_be_read_and_its_remedy_is_no_part_of_the_trouble(bad) -> None:
    assert len(bad.why) > 30
    for versions in (*bad.versions.split(","), bad.use):
        SpecifierSet(versions)
    edge = bad.use.lstrip("<>=")
    assert not (edge in SpecifierSet(bad.versions) and bad.use.startswith(">="))


@given(st.tuples(st.integers(0, 9), st.integers(0, 40), st.integers(0, 9)))
def test_the_torch_table_has_no_gap(version) -> None:
    text = ".".join(map(str, version))
    bad = judge_versions({**GOOD, "torch": text}, [], Requirements())
    assert bool(bad) == (version < (2, 10, 0)), text


def test_this_environment() -> None:
    found = check_versions(Requirements(deepspeed=True))
    assert [each.state for each in found] == ["ok"], found
    assert f"torch {metadata.version('torch')}" in found[-1].what
