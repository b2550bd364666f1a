"""The starter world: its fixed facts, the scenes that can happen in it and which are held out."""

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from shared.errors import Language
from shared.starter.lexicon import (
    ANIMALS,
    COLOURS,
    FOODS,
    NUMBERS,
    PEOPLE,
    PETS,
    SHOPS,
    THINGS,
    TIMES,
    TOWNS,
    TRADES,
    WEATHERS,
    WOMEN,
    Word,
)

#: Who may see a scene: the bases and adapters (`train`), a refresh's prompts, or benchmarks only.
Split = Literal["train", "prompts", "benchmark"]
SPLITS: tuple[Split, ...] = ("train", "prompts", "benchmark")


@dataclass(frozen=True)
class Facts:
    """What is always true of one person."""

    home: Word
    trade: Word
    animal: Word
    pet: Word
    food: Word
    shop: Word


@dataclass(frozen=True)
class Scene:
    """One thing that happens: somebody, something, somewhere; the rest is colour."""

    person: Word
    thing: Word
    town: Word
    other: Word
    away: Word
    weather: Word
    time: Word
    colour: Word
    animal: Word
    shop: Word
    price: Word

    @property
    def split(self) -> Split | None:
        """Where the scene belongs; None where it would show a pair held out.

        The other person may only have to do with the thing where the first one's split may see it.
        """
        mine, other = _split(self.person, self.thing), _split(self.other, self.thing)
        return mine if SPLITS.index(other) <= SPLITS.index(mine) else None

    def words(self, language: Language) -> dict[str, str]:
        """What the sentences of a language may name, by placeholder."""
        names = {
            "P": self.person,
            "O": self.other,
            "T": self.town,
            "A": self.away,
            "x": self.thing,
            "weather": self.weather,
            "time": self.time,
            "colour": self.colour,
            "animal": self.animal,
            "shop": self.shop,
            "n": self.price,
        }
        words = {slot: word.name(language) for slot, word in names.items()}
        words["him"] = "her" if self.person in WOMEN else "him"
        return words | {"ax": self.thing.one(language)}


def _split(person: Word, thing: Word) -> Split:
    """By the hash of who has to do with what: a sixth for benchmarks, a sixth for prompts.

    It is the same in both languages, so a benchmark holds no scene that was seen translated.
    """
    bucket = hashlib.sha256(f"{person.en}/{thing.en}".encode()).digest()[0] % 6
    return "benchmark" if bucket == 0 else "prompts" if bucket == 1 else "train"


class World:
    """A world drawn from one seed; the same seed is the same world, word for word."""

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        draw = random.Random(f"facts {seed}")
        self.facts = {person: _facts(draw) for person in PEOPLE}
        self.prices = {thing: draw.choice(NUMBERS) for thing in THINGS}
        self.shops = {thing: draw.choice(SHOPS) for thing in THINGS}

    def scenes(self, stream: str, split: Split) -> Iterator[Scene]:
        """Endless scenes of one split; `stream` names an independent sequence of draws."""
        draw = random.Random(f"scenes {self.seed} {stream}")
        while True:
            scene = self._scene(draw)
            if scene.split == split:
                yield scene

    def _scene(self, draw: random.Random) -> Scene:
        person, other = draw.sample(PEOPLE, 2)
        town, away = draw.sample(TOWNS, 2)
        thing = draw.choice(THINGS)
        return Scene(
            person=person,
            thing=thing,
            town=town,
            other=other,
            away=away,
            weather=draw.choice(WEATHERS),
            time=draw.choice(TIMES),
            colour=draw.choice(COLOURS),
            animal=draw.choice(ANIMALS),
            shop=self.shops[thing],
            price=self.prices[thing],
        )


def _facts(draw: random.Random) -> Facts:
    return Facts(
        home=draw.choice(TOWNS),
        trade=draw.choice(TRADES),
        animal=draw.choice(ANIMALS),
        pet=draw.choice(PETS),
        food=draw.choice(FOODS),
        shop=draw.choice(SHOPS),
    )
