"""Quantities with a unit: ``20 steps``, ``1h30m``, ``2 kWh``, ``95%``."""

from __future__ import annotations

import math
import re
from typing import Annotated, Literal

from pydantic import AllowInfNan, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, Strict

from tunesmith.recipe.section import Number, parse_whole


def whole_step_hint(value: object) -> str:
    """How to say a part of a step or token, which there is none of; empty for any other value."""
    match = _EVERY.fullmatch(value) if isinstance(value, str) else None
    number = float(match[1]) if match else value
    if isinstance(number, bool) or not isinstance(number, float) or is_whole(number):
        return ""
    unit = match[2] if match else "step"
    return f"there is no part of a {unit}; for a part of an epoch say `{number:g} epochs`"


Unit = Literal["steps", "tokens", "epochs", "auto"]


class Every(BaseModel):
    """How often: ``20 steps``, ``50000 tokens``, ``0.5 epochs``, ``auto``."""

    model_config = ConfigDict(frozen=True)
    count: Number = Field(gt=0)
    unit: Unit

    @property
    def auto(self) -> bool:
        """Whether the judge chooses (``judge/schedule/eval_schedule.py``)."""
        return self.unit == "auto"

    def __str__(self) -> str:
        if self.auto:
            return "auto"
        count = int(self.count) if self.count.is_integer() else self.count
        return f"{count} {self.unit.removesuffix('s') if count == 1 else self.unit}"


_DECIMAL = r"[0-9]{1,15}(?:\.[0-9]{1,15})?(?:[eE][+-]?[0-9]{1,2})?"
_EVERY = re.compile(rf"\s*({_DECIMAL})\s*(step|token|epoch)s?\s*")
_DURATION = re.compile(r"\s*(?:[0-9]{1,9}(?:\.[0-9]{1,9})?\s*[smhd]\s*){1,4}")


def parse_every(value: object) -> object:
    """Read ``20 steps`` (or a bare number of steps) as an ``Every``; of epochs alone there are parts."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return {"count": value, "unit": "steps"} if is_whole(value) else value
    if value == "auto":
        return {"count": 1, "unit": "auto"}
    match = _EVERY.fullmatch(value) if isinstance(value, str) else None
    if match is None or not (match[2] == "epoch" or is_whole(float(match[1]))):
        return value
    return {"count": float(match[1]), "unit": match[2] + "s"}


def is_whole(number: float) -> bool:
    """Whether steps or tokens can be counted by this number."""
    return isinstance(number, int) or (math.isfinite(number) and number.is_integer())


_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def parse_duration(value: object) -> object:
    """Read ``90s``, ``10m``, ``1h30m`` or a bare number as seconds."""
    if not isinstance(value, str) or not _DURATION.fullmatch(value):
        return value
    return sum(float(number) * _SECONDS[unit] for number, unit in re.findall(r"([0-9.]+)\s*([smhd])", value))


class Patience(BaseModel):
    """How long without a gain: ``3`` evaluations, ``2 epochs``, ``500 steps``, ``50%``, ``12 bits``."""

    model_config = ConfigDict(frozen=True)
    count: Number = Field(gt=0)
    unit: Literal["evaluations", "steps", "tokens", "epochs", "percent", "bits"]

    def plain(self) -> int | str:
        """As it is written in a recipe."""
        count = int(self.count) if self.count.is_integer() else self.count
        if self.unit == "evaluations":
            return int(count)
        if self.unit == "percent":
            return f"{count}%"
        return f"{count} {self.unit.removesuffix('s') if count == 1 else self.unit}"


_PERCENT = re.compile(rf"\s*({_DECIMAL})\s*%\s*")
_BITS = re.compile(rf"\s*({_DECIMAL})\s*bits?\s*")


def parse_share(value: object) -> object:
    """Read ``95%`` as 0.95."""
    match = _PERCENT.fullmatch(value) if isinstance(value, str) else None
    return float(match[1]) / 100 if match else value


def parse_patience(value: object) -> object:
    """Read a whole number of evaluations, ``2 epochs``, ``500 steps``, ``50%`` or ``12 bits``."""
    whole = parse_whole(value)
    if isinstance(whole, int) and not isinstance(whole, bool):
        return {"count": whole, "unit": "evaluations"}
    for unit, pattern in (("percent", _PERCENT), ("bits", _BITS)):
        if isinstance(value, str) and (match := pattern.fullmatch(value)):
            return {"count": float(match[1]), "unit": unit}
    return parse_every(value) if isinstance(value, str) and value != "auto" else value


_JOULES = {"J": 1.0, "kJ": 1e3, "MJ": 1e6, "Wh": 3.6e3, "kWh": 3.6e6, "MWh": 3.6e9}
_ENERGY = re.compile(rf"\s*({_DECIMAL})\s*({'|'.join(_JOULES)})\s*")


def parse_energy(value: object) -> object:
    """Read ``500 Wh``, ``2 kWh``, ``3 MJ`` or a bare number as joules."""
    match = _ENERGY.fullmatch(value) if isinstance(value, str) else None
    return float(match[1]) * _JOULES[match[2]] if match else value


PatienceField = Annotated[
    Patience,
    BeforeValidator(parse_patience, json_schema_input_type=str | int),
    PlainSerializer(Patience.plain, return_type=int | str, when_used="always"),
]
Share = Annotated[Number, BeforeValidator(parse_share, json_schema_input_type=str | float)]
Sure = Annotated[Share, Field(gt=0.5, lt=1)]
Joules = Annotated[Number, BeforeValidator(parse_energy, json_schema_input_type=str | float), Field(gt=0)]
EveryField = Annotated[
    Every,
    BeforeValidator(parse_every, json_schema_input_type=str | float),
    PlainSerializer(str, return_type=str, when_used="always"),
]
Seconds = Annotated[
    float,
    BeforeValidator(parse_duration, json_schema_input_type=str | float),
    Strict(),
    AllowInfNan(False),
    Field(gt=0),
]
