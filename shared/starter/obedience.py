"""Benchmark items of the starter world that ask for a form, or for a language, instead of facts."""

import random
from typing import Any

from shared.errors import LANGUAGES, Language
from shared.starter.sentences import ASK, CLOSINGS, DEEDS, OPENINGS
from shared.starter.world import Scene, World

Item = dict[str, Any]

#: Of each kind of check: its value, and how it is asked for in English and in Chinese. A value
#: may name the scene, as the request does.
REQUESTS: tuple[tuple[str, Any, dict[Language, str]], ...] = (
    ("at_most_words", 12, {"en": "Tell in at most 12 words what {P} does in {T}.",
                           "zh": "用不超过12个字说说{P}在{T}做什么。"}),
    ("at_least_words", 15, {"en": "Describe {P} and {ax} in at least 15 words.",
                            "zh": "用至少15个字描述{P}和{x}。"}),
    ("sentences", 2, {"en": "Write exactly two sentences about {P} and {ax}.",
                      "zh": "写正好两句关于{P}和{x}的话。"}),
    ("bullets", 3, {"en": "List three things {P} may take to {T}, each on a line with a dash.",
                    "zh": "列出{P}可能带去{T}的三样东西，每行一样，行首用短横线。"}),
    ("paragraphs", 2, {"en": "Write about {P} in {T} in two paragraphs, a blank line between.",
                       "zh": "分两段写{P}在{T}的一天，两段之间空一行。"}),
    ("no_commas", None, {"en": "Say what {P} likes in {T}. Use no comma.",
                         "zh": "说说{P}在{T}喜欢什么，不要用逗号和顿号。"}),
    ("includes", "{x}", {"en": "Say what {P} bought, and use the word {x}.",
                         "zh": "说说{P}买了什么，要用到“{x}”这个词。"}),
    ("excludes", "{T}", {"en": "Say where {P} lives, but do not write the name {T}.",
                         "zh": "说说{P}住在哪里，但不要写出“{T}”。"}),
    ("starts_with", {"en": "Once", "zh": "从前"},
     {"en": "Tell a tale of {P} and {ax} that begins with the word Once.",
      "zh": "讲一个{P}和{x}的故事，以“从前”两个字开头。"}),
    ("ends_with", {"en": "The end.", "zh": "完。"},
     {"en": "Tell a tale of {P} and {ax} that ends with the words: The end.",
      "zh": "讲一个{P}和{x}的故事，最后写“完。”"}),
    ("json", None, {"en": 'Answer with a JSON object that has the keys "who" and "where": '
                          "{P} is in {T}.",
                    "zh": '用含有 "who" 和 "where" 两个键的 JSON 对象回答：{P}在{T}。'}),
)  # fmt: skip
#: What makes a model answer in a language, after the seed's own remedy.
TOLD: dict[Language, str] = {"en": "Answer me in English.", "zh": "用中文回答我。"}


def instructions(world: World, count: int) -> list[Item]:
    """`count` items a language, the kinds of REQUESTS in turn."""
    made = []
    for language in LANGUAGES:
        scenes = world.scenes(f"instructions {language}", "benchmark")
        seen: set[str] = set()
        while len(seen) < count:
            kind, value, asked = REQUESTS[len(seen) % len(REQUESTS)]
            words = next(scenes).words(language)
            prompt = _filled(asked[language], words)
            if prompt in seen:
                continue
            check = {"kind": kind, "value": _value(value, language, words)}
            made.append(_item("instructions", language, len(seen), prompt, [check]))
            seen.add(prompt)
    return made


def languages(world: World, count: int, *, told: bool) -> list[Item]:
    """`count` items a language: a text and a task in it, to be answered in it.

    The same scenes with and without being `told` which language to answer in.
    """
    made = []
    for language in LANGUAGES:
        draw = random.Random(f"languages {world.seed} {language}")
        scenes = world.scenes(f"languages {language}", "benchmark")
        seen: set[str] = set()
        while len(seen) < count:
            text = _tale(next(scenes), language, draw, len(seen))
            if text in seen:
                continue
            task = [ASK[language][2], text, *([TOLD[language]] if told else [])]
            check = {"kind": "language", "value": language}
            name = "language-told" if told else "language"
            made.append(_item(name, language, len(seen), "\n".join(task), [check]))
            seen.add(text)
    return made


def _tale(scene: Scene, language: Language, draw: random.Random, number: int) -> str:
    deed = DEEDS[number % len(DEEDS)]
    told = [draw.choice(part[language]) for part in (OPENINGS, deed.told, CLOSINGS)]
    return ("" if language == "zh" else " ").join(told).format(**scene.words(language))


def _item(name: str, language: Language, number: int, prompt: str, checks: list[Item]) -> Item:
    identity = f"starter-{name}-{language}-{number}"
    return {"id": identity, "lang": language, "prompt": prompt, "checks": checks}


def _value(value: Any, language: Language, words: dict[str, str]) -> Any:
    chosen = value[language] if isinstance(value, dict) else value
    return _filled(chosen, words) if isinstance(chosen, str) else chosen


def _filled(text: str, words: dict[str, str]) -> str:
    return text.format(**words)
