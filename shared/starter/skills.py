"""What adapters learn in the starter world: training rows and benchmark items of three skills."""

import random
from collections.abc import Callable, Iterator
from typing import Any

from shared.errors import LANGUAGES, Language
from shared.starter.sentences import (
    ASK,
    CLOSINGS,
    DEEDS,
    HAIL,
    MOODS,
    OMENS,
    OPENINGS,
    TOPICS,
    Lines,
)
from shared.starter.world import Scene, Split, World

#: One Alpaca row: instruction, input, output.
Row = dict[str, str]
#: One benchmark item, in the shapes of the benchmark file format.
Item = dict[str, Any]


def rows(world: World, language: Language, count: int, split: Split = "train") -> list[Row]:
    """`count` Alpaca rows of a language, the skills in CYCLE's turn."""
    draw = random.Random(f"rows {world.seed} {language} {split}")
    scenes = world.scenes(f"rows {language} {split}", split)
    counts = dict.fromkeys(MAKERS, 0)
    made = []
    for number in range(count):
        skill = CYCLE[number % len(CYCLE)]
        row = MAKERS[skill](next(scenes), language, draw, counts[skill])
        # People write the text into either field, and a benchmark's prompt is one text.
        made.append(row if number % 2 else row | {"instruction": _asked(row), "input": ""})
        counts[skill] += 1
    return made


def prompts(world: World, language: Language, count: int) -> list[Row]:
    """`count` rows to ask a donor, of scenes no training row has; their output says so only."""
    return [
        row | {"output": UNANSWERED[language]} for row in rows(world, language, count, "prompts")
    ]


def benchmark(world: World, skill: str, count: int) -> list[Item]:
    """`count` held-out items of one skill for each language."""
    return [item for language in LANGUAGES for item in _items(world, skill, language, count)]


def _items(world: World, skill: str, language: Language, count: int) -> Iterator[Item]:
    draw = random.Random(f"items {world.seed} {skill} {language}")
    scenes = world.scenes(f"items {skill} {language}", "benchmark")
    seen: set[str] = set()
    while len(seen) < count:
        number = len(seen)
        row = MAKERS[skill](next(scenes), language, draw, number)
        if row["input"] in seen:
            continue
        seen.add(row["input"])
        identity = {"id": f"starter-{skill}-{language}-{number}", "lang": language}
        yield identity | SHAPES[skill](row, language)


def understanding(scene: Scene, language: Language, draw: random.Random, number: int) -> Row:
    """Choose the mood of a person, or the topic of a text; labels come equally often."""
    labelled, ask = ((MOODS, 0), (TOPICS, 1))[number % 2]
    label = list(labelled)[number // 2 % len(labelled)]
    words = scene.words(language)
    return {
        "instruction": ASK[language][ask].format(**words),
        "input": draw.choice(labelled[label][language]).format(**words),
        "output": label[1 if language == "zh" else 0],
    }


def summarisation(scene: Scene, language: Language, draw: random.Random, number: int) -> Row:
    """Say in one sentence who did what where, leaving out the weather and the others."""
    deed = DEEDS[number % len(DEEDS)]
    told = [draw.choice(part[language]) for part in (OPENINGS, deed.told, CLOSINGS)]
    words = scene.words(language)
    return {
        "instruction": ASK[language][2],
        "input": _text(told, language).format(**words),
        "output": deed.summary[language].format(**words),
    }


def continuation(scene: Scene, language: Language, draw: random.Random, number: int) -> Row:
    """Tell what follows by the rules of the world, in the language of old tales."""
    omen, words = OMENS[number % len(OMENS)], scene.words(language)
    return {
        "instruction": ASK[language][3],
        "input": (draw.choice(HAIL[language]) + omen.cause[language]).format(**words),
        "output": omen.effect[language].format(**words),
    }


def _text(lines: list[str], language: Language) -> str:
    return ("" if language == "zh" else " ").join(lines)


def _labels(labelled: dict[tuple[str, str], Lines], language: Language) -> list[str]:
    return [label[1 if language == "zh" else 0] for label in labelled]


def _asked(row: Row) -> str:
    return f"{row['instruction']}\n{row['input']}" if row["input"] else row["instruction"]


def _choice(row: Row, language: Language) -> Item:
    sets = (_labels(MOODS, language), _labels(TOPICS, language))
    choices = next(labels for labels in sets if row["output"] in labels)
    return {
        "prompt": _asked(row),
        "choices": choices,
        "answer": choices.index(row["output"]),
    }


def _generate(row: Row, language: Language) -> Item:
    return {"prompt": _asked(row), "references": [row["output"]]}


def _continuation(row: Row, language: Language) -> Item:
    space = "" if language == "zh" else " "
    return {"context": row["input"], "continuation": space + row["output"]}


MAKERS: dict[str, Callable[[Scene, Language, random.Random, int], Row]] = {
    "understanding": understanding,
    "summarisation": summarisation,
    "continuation": continuation,
}
#: What stands where a prompt's answer would: a refresh does not read it.
UNANSWERED: dict[Language, str] = {
    "en": "(the donor answers this)",
    "zh": "（由供体回答）",
}
#: Skills of successive training rows. A choice trains two tokens and a tale twenty, so choices
#: come more often.
CYCLE = ("understanding",) * 4 + ("summarisation",) * 2 + ("continuation",)
SHAPES: dict[str, Callable[[Row, Language], Item]] = {
    "understanding": _choice,
    "summarisation": _generate,
    "continuation": _continuation,
}
