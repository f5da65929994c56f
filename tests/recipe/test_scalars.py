from __future__ import annotations

import math

import pytest

from tunesmith.recipe.yaml.nodes import resolve_scalar


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1e5", 100000.0),
        ("2E+4", 20000.0),
        (".5", 0.5),
        ("3.", 3.0),
        ("-7", -7),
        ("+7", 7),
        ("007", 7),
        ("0x1F", 31),
        ("0o17", 15),
        ("true", True),
        ("FALSE", False),
        ("~", None),
        ("null", None),
        ("", None),
        ("no", "no"),
        ("off", "off"),
        ("on", "on"),
        ("yes", "yes"),
        ("Yes", "Yes"),
        ("1_000", "1_000"),
        ("12:30:45", "12:30:45"),
        ("2024-01-02", "2024-01-02"),
        ("1.2.3", "1.2.3"),
        ("e5", "e5"),
        ("=", "="),
        ("٣", "٣"),
    ],
)
def test_words_mean_what_yaml_1_2_says(text: str, value: object):
    found = resolve_scalar(text)
    assert found == value
    assert type(found) is type(value)


def test_infinities_and_not_a_number():
    assert resolve_scalar("-.inf") == -math.inf
    assert math.isnan(float(str(resolve_scalar(".nan"))))


def test_a_very_long_run_of_digits_stays_text():
    assert resolve_scalar("9" * 5000) == "9" * 5000
