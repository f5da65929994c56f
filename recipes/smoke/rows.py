"""Rows that code makes, for the smoke recipes: small, learnable, the same at every run."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import numpy as np

GREETINGS = ("hello", "hi", "welcome", "good morning", "glad to meet you")
FAREWELLS = ("goodbye", "bye", "see you soon", "good night", "until tomorrow")
SOUNDS = {"cow": "moo", "cat": "meow", "dog": "woof", "sheep": "baa", "duck": "quack", "pig": "oink"}
WORDS = {"awful": 1, "poor": 2, "fair": 3, "good": 4, "superb": 5}
NAMES = ("Ann", "Bob", "Cleo", "Dan", "Eve", "Finn")
PLACES = ("Rome", "Oslo", "Lima", "Cairo", "Quito")
THINGS = ("the food", "the room", "the view", "the staff", "the price", "the bed", "the bath", "the garden")
MADE_UP = (
    {"one": "ka", "two": "ru", "three": "mo", "four": "ti", "five": "se", "six": "lo"},
    {"red": "oran", "green": "vedu", "blue": "silu", "black": "nok", "white": "bal"},
    {"cups": "tem", "plates": "ply", "spoons": "gob", "pots": "war", "jars": "fis"},
)


def animals(count: int) -> Iterator[dict[str, Any]]:
    """Whose animal it is does not matter to what it says."""
    draw = random.Random(1)
    for _ in range(count):
        animal, sound = draw.choice(list(SOUNDS.items()))
        yield {"name": "".join(draw.choices("abcdefghijklm", k=4)), "animal": animal, "sound": sound}


def phrases(count: int) -> Iterator[dict[str, Any]]:
    """Greetings and farewells among other words."""
    draw = random.Random(2)
    for _ in range(count):
        kind = draw.choice(("greeting", "farewell"))
        phrase = draw.choice(GREETINGS if kind == "greeting" else FAREWELLS)
        name = "".join(draw.choices("abcdefghijklm", k=5))
        yield {"text": f"{phrase}, {name} {draw.randrange(100)}", "kind": kind}


def meetings(count: int) -> Iterator[dict[str, Any]]:
    """Who met whom and where: names of people and of places, tagged in BIO."""
    draw = random.Random(5)
    for _ in range(count):
        one, other = draw.sample(NAMES, 2)
        words = [(one, "B-PER"), ("Smith", "I-PER"), ("met", "O"), (other, "B-PER"), ("in", "O")]
        if draw.random() < 0.5:
            del words[1]
        words += [(draw.choice(PLACES), "B-LOC"), ("on", "O"), (f"day{draw.randrange(30)}", "O")]
        yield {"tokens": [word for word, _ in words], "tags": [tag for _, tag in words]}


def reviews(count: int) -> Iterator[dict[str, Any]]:
    """Three remarks; the mean of their stars, with some noise."""
    draw = random.Random(3)
    for _ in range(count):
        remarks = [(thing, draw.choice(list(WORDS))) for thing in draw.sample(THINGS, 3)]
        stars = sum(WORDS[word] for _, word in remarks) / 3 + draw.gauss(0, 0.05)
        yield {"text": ", ".join(f"{thing} was {word}" for thing, word in remarks), "stars": stars}


def twins(count: int) -> Iterator[dict[str, Any]]:
    """The same thing said in two languages, of which one is made up."""
    draw = random.Random(5)
    for _ in range(count):
        (number, a), (colour, b), (thing, c) = (draw.choice(list(one.items())) for one in MADE_UP)
        place = draw.randrange(10)
        yield {"english": f"{number} {colour} {thing} in box {place}", "other": f"{c} {b} {a} {place}"}


def bars(count: int) -> Iterator[dict[str, Any]]:
    """A bar in noise, 16 by 16 pixels, lying or standing."""
    draw = np.random.default_rng(4)
    for index in range(count):
        image = draw.integers(0, 90, (16, 16), dtype=np.uint8)
        place = int(draw.integers(2, 13))
        if index % 2:
            image[place : place + 2, 2:14] = 220
        else:
            image[2:14, place : place + 2] = 220
        yield {"image": image, "label": "lying" if index % 2 else "standing"}
