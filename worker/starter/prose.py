"""The pre-training text: descriptions, price lists, stories and talk in plain English and Chinese.

It holds the world's facts and plain telling only. The skills that adapters learn (naming a mood or
a topic, summing up, the old tale's language) are not in it, nor is any held-out scene.
"""

import random
import re
from collections.abc import Callable, Iterator
from functools import cache

from shared.errors import LANGUAGES, Language
from shared.starter.lexicon import COLOURS, PEOPLE, THINGS, TOWNS, Word
from shared.starter.sentences import (
    AFTERMATHS,
    ASK,
    CLOSINGS,
    DEEDS,
    HAIL,
    JOINERS,
    MOODS,
    OMENS,
    OPENINGS,
    TOPICS,
)
from shared.starter.world import Scene, World
from shared.templates import render

#: Words that become labels or old language later, met here without what they are labels of.
ASIDES: dict[Language, tuple[str, ...]] = {
    "en": (
        "The children of {T} sing a song called “{feel}”.",
        "The book has a page on {talk}.",
        "{P} read an old tale from {A} aloud.",
        "{O} read {P} a poem called “{feel}”.",
        "In {A} {O} wrote a letter on {talk}.",
    ),
    "zh": (
        "{T}的孩子唱一首歌，歌名是“{feel}”。",
        "书里有一页写{talk}。",
        "{P}大声读{A}的古话。",
        "{O}给{P}念了一首诗，题目是“{feel}”。",
        "{O}在{A}写了一封信，写的是{talk}。",
    ),
}
#: What counts as one word of a sentence with placeholders.
PIECE: dict[Language, re.Pattern[str]] = {
    "en": re.compile(r"(?<!\{)\b[A-Za-z]+\b(?!\})"),
    "zh": re.compile(rf"[^\W{JOINERS}a-zA-Z{{}}]+"),
}
#: Questions of the reading exercises, by what they ask for.
READING: dict[Language, dict[str, str]] = {
    "en": {
        "next": "What happens next?",
        "again": "Say it in other words.",
        "copy": "Copy the last sentence.",
        "P": "Who is it?",
        "x": "Which thing is it?",
        "T": "Which town is it?",
    },
    "zh": {
        "next": "接着怎样？",
        "again": "换个说法。",
        "copy": "抄写最后一句。",
        "P": "是谁？",
        "x": "是什么东西？",
        "T": "是什么地方？",
    },
}
ECHOES: dict[Language, tuple[str, ...]] = {
    "en": (
        "“Where is the {x}?” asked {O}. “Here in {T},” said {P}.",
        "“Is it your {x}, {P}?” asked {O}. “Yes, it is my {x},” said {P}.",
        "{O} liked the {x}, and {P} liked it too.",
        "That {time} {P} stayed in {T} with the {x}.",
        "Later {O} told everybody about {P} and the {x}.",
        "{P} thanked {O}, and {O} thanked {P}.",
    ),
    "zh": (
        "“{x}在哪里？”{O}问。“就在{T}。”{P}说。",
        "“{P}，这是你的{x}吗？”{O}问。“是我的{x}。”{P}说。",
        "{O}喜欢{x}，{P}也喜欢。",
        "那天{time}，{P}带着{x}留在{T}。",
        "后来{O}对大家说起{P}和{x}。",
        "{P}谢谢{O}，{O}也谢谢{P}。",
    ),
}


def documents(world: World, count: int) -> Iterator[tuple[Language, str]]:
    """`count` documents, half of each language, the same ones for the same world."""
    draw = random.Random(f"prose {world.seed}")
    scenes = world.scenes("prose", "train")
    for number in range(count):
        language = LANGUAGES[number % len(LANGUAGES)]
        kind = draw.choices(list(KINDS), weights=list(KINDS.values()))[0]
        yield language, kind(world, next(scenes), language, draw)


def wrap(instruction: str, given: str, language: Language) -> str:
    """The prompt that adapters are trained with, so that its form at least is known."""
    return render("auto", instruction, given, lang=language)


def _join(language: Language, sentences: list[str]) -> str:
    return ("" if language == "zh" else " ").join(sentences)


def _event(language: Language, draw: random.Random) -> tuple[str, str, str]:
    """An event, what can be said after it, and whether that tells it `again` or comes `next`."""
    if draw.random() < 0.4:
        first, second = draw.sample(draw.choice(DEEDS).told[language], 2)
        return first, second, "again"
    label, lines = draw.choice([*MOODS.items(), *TOPICS.items()])
    return draw.choice(lines[language]), draw.choice(AFTERMATHS[label[0]][language]), "next"


def _story(world: World, scene: Scene, language: Language, draw: random.Random) -> str:
    """An event somewhere, what came of it, and some talk that names everything again."""
    middle = draw.sample(ECHOES[language], draw.randint(0, 2))
    lines = [draw.choice(OPENINGS[language]), *_event(language, draw)[:2], *middle]
    if draw.random() < 0.5:
        lines.append(draw.choice(CLOSINGS[language]))
    words = scene.words(language)
    return _join(language, [line.format(**words) for line in lines])


def _exercise(
    world: World, scene: Scene, language: Language, draw: random.Random
) -> tuple[str, list[tuple[str, str]]]:
    """A passage, and questions about it with their answers (none asks what a skill asks)."""
    words = scene.words(language)
    event, sequel, relation = _event(language, draw)
    lines = [event]
    if draw.random() < 0.6:
        lines = [draw.choice(OPENINGS[language]), event, draw.choice(CLOSINGS[language])]
    told = [line.format(**words) for line in lines]
    texts = READING[language]
    asked = [(texts[relation], sequel.format(**words)), (texts["copy"], told[-1])]
    for slot in "PxT":
        if any(f"{{{slot}}}" in line or f"{{a{slot}}}" in line for line in lines):
            asked.append((texts[slot], words[slot]))
    return _join(language, told), asked


def _reading(world: World, scene: Scene, language: Language, draw: random.Random) -> str:
    """A passage with three questions about it."""
    passage, asked = _exercise(world, scene, language, draw)
    asked = draw.sample(asked, min(3, len(asked)))
    return "\n".join([passage, *(f"{question}\n{answer}" for question, answer in asked)])


def _portrait(world: World, scene: Scene, language: Language, draw: random.Random) -> str:
    person, facts = scene.person, world.facts[scene.person]
    words = scene.words(language) | {
        "P": person.name(language),
        "home": facts.home.name(language),
        "trade": facts.trade.one(language),
        "a_pet": facts.animal.one(language),
        "pet": facts.pet.name(language),
        "food": facts.food.name(language),
        "haunt": facts.shop.name(language),
    }
    lines = (
        [
            "{P}住在{home}，是{trade}。",
            "{P}有{a_pet}，名叫{pet}。",
            "{pet}和{P}都爱吃{food}。",
            "在{home}，{P}常去{haunt}。",
        ]
        if language == "zh"
        else [
            "{P} lives in {home} and is {trade}.",
            "{P} has {a_pet} called {pet}.",
            "{pet} and {P} both love {food}.",
            "In {home}, {P} often goes to the {haunt}.",
        ]
    )
    tail = lines[1:]
    draw.shuffle(tail)
    return _join(language, [line.format(**words) for line in [lines[0], *tail]])


def _prices(world: World, scene: Scene, language: Language, draw: random.Random) -> str:
    line = (
        "{shop}里{ax}卖{n}个铜钱。" if language == "zh" else "At the {shop}, {ax} costs {n} coins."
    )
    things = draw.sample(THINGS, draw.randint(1, 3))
    return _join(
        language,
        [
            line.format(
                shop=world.shops[thing].name(language),
                ax=thing.one(language),
                n=world.prices[thing].name(language),
            )
            for thing in things
        ],
    )


def _custom(world: World, scene: Scene, language: Language, draw: random.Random) -> str:
    feel, talk = draw.choice(list(MOODS)), draw.choice(list(TOPICS))
    at = 1 if language == "zh" else 0
    words = scene.words(language) | {"feel": feel[at], "talk": talk[at]}
    lines = [
        draw.choice(OMENS).plain[language],
        *draw.sample(ASIDES[language], 2),
        draw.choice(CLOSINGS[language]),
    ]
    return _join(language, [line.format(**words) for line in lines])


def _spelling(world: World, scene: Scene, language: Language, draw: random.Random) -> str:
    """Words of the world in no order, so that every word is known before it means anything."""
    words = draw.sample(_all_words(language), 8)
    if draw.random() < 0.5:
        words = [word for word in words[:4] for _ in range(2)]
    return draw.choice(("\n", "、" if language == "zh" else " ")).join(words)


@cache
def _all_words(language: Language) -> list[str]:
    """The words that only the skills use: labels, summaries, old language, questions."""
    at = 1 if language == "zh" else 0
    labels = [label[at] for label in (*MOODS, *TOPICS)]
    texts = [deed.summary[language] for deed in DEEDS]
    texts += [text[language] for omen in OMENS for text in (omen.cause, omen.effect)]
    texts += [text for lines in (ASK, HAIL) for text in lines[language]]
    pieces = [piece for text in texts for piece in PIECE[language].findall(text)]
    names = [word.name(language) for word in (*PEOPLE, *TOWNS, *THINGS)]
    return sorted({*pieces, *labels}) + labels + names


def _drill(world: World, scene: Scene, language: Language, draw: random.Random) -> str:
    """A small exercise in the form of an instruction, of no use for any benchmark."""
    if draw.random() < 0.15:
        x = scene.words(language)["x"]
        comma = "、" if language == "zh" else ", "
        tasks = {
            "en": (
                ("Name three colours.", "", _some(COLOURS, language, draw)),
                ("Write the word three times.", x, comma.join([x] * 3)),
            ),
            "zh": (
                ("说出三种颜色。", "", _some(COLOURS, language, draw)),
                ("把这个词写三遍。", x, comma.join([x] * 3)),
            ),
        }
        instruction, given, output = draw.choice(tasks[language])
        return wrap(instruction, given, language) + output
    passage, asked = _exercise(world, scene, language, draw)
    question, answer = asked[0] if draw.random() < 0.4 else draw.choice(asked)
    if draw.random() < 0.5:
        return wrap(f"{question}\n{passage}", "", language) + answer
    return wrap(question, passage, language) + answer


def _some(words: tuple[Word, ...], language: Language, draw: random.Random) -> str:
    return ("、" if language == "zh" else ", ").join(
        word.name(language) for word in draw.sample(words, 3)
    )


#: Kind of document -> how often it comes.
KINDS: dict[Callable[[World, Scene, Language, random.Random], str], int] = {
    _story: 6,
    _reading: 6,
    _drill: 3,
    _spelling: 2,
    _portrait: 1,
    _prices: 1,
    _custom: 1,
}
