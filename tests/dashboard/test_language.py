"""Both catalogues say the same things, and every word that the code asks for is in them."""

import ast
import re
from pathlib import Path
from string import Formatter

import pytest

import dashboard
from dashboard import moments, parts
from dashboard.language import Words, catalogue
from shared.comparisons import Flip
from shared.errors import LANGUAGES, Language
from shared.specs import FUSION_METHODS, SPECS
from shared.specs.parameters import parameters
from shared.tables import JobState, Outcome

FOLDER = Path(dashboard.__file__).parent
WORKER = FOLDER.parent / "worker"


def _fields(text: str) -> list[str]:
    return sorted(field for _, field, _, _ in Formatter().parse(text) if field)


def test_both_languages_have_the_same_keys_and_places() -> None:
    english, chinese = catalogue("en"), catalogue("zh")
    assert english.keys() == chinese.keys()
    assert {key: _fields(text) for key, text in english.items()} == {
        key: _fields(text) for key, text in chinese.items()
    }


def test_no_text_is_empty_or_left_in_english() -> None:
    same_in_both = re.compile(r"^[\W\d]*$|^\{.*\}$")
    for key, text in catalogue("zh").items():
        assert text.strip(), key
        has_chinese = any("\u4e00" <= char <= "\u9fff" for char in text)
        assert has_chinese or same_in_both.match(text) or "·" in text or ":" in text, key


def test_no_text_carries_markdown_emphasis() -> None:
    for language in LANGUAGES:
        for key, text in catalogue(language).items():
            assert not re.search(r"[*`_\[\]<>]", re.sub(r"\{.*?\}", "", text)), key


def _asked() -> set[str]:
    """Every key that stands in the code as a whole literal: `words("...")`."""
    found = set()
    for path in FOLDER.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "words":
                first = node.args[0]
                if isinstance(first, ast.Constant):
                    found.add(str(first.value))
    return found


def test_every_word_the_code_asks_for_exists() -> None:
    asked = _asked()
    assert len(asked) > 100
    assert asked <= catalogue("en").keys()


EVENTS = ("submitted", "claimed", "cancel", "expired", "preempt", "priority")


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_code_has_a_word(language: Language) -> None:
    texts = catalogue(language)
    wanted = [f"state.{state}" for state in JobState] + [f"kind.{kind}" for kind in SPECS]
    wanted += [f"outcome.{outcome}" for outcome in Outcome] + [f"flip.{flip}" for flip in Flip]
    wanted += [f"event.{kind}" for kind in (*EVENTS, *Outcome)]
    for method in FUSION_METHODS:
        wanted += [f"method.{method}", f"method.{method}.help"]
    specs = [*SPECS.values(), *FUSION_METHODS.values()]
    wanted += [f"unit.{each.unit}" for spec in specs for each in parameters(spec) if each.unit]
    assert [key for key in wanted if key not in texts] == []


def test_what_engines_report_has_a_word() -> None:
    """Phases and units stand as literals in the engines, which the dashboard never imports."""
    sources = [path.read_text(encoding="utf-8") for path in WORKER.rglob("*.py")]
    phases = {name for text in sources for name in re.findall(r'\.phase\("([^"]+)"\)', text)}
    units = {unit for text in sources for unit in re.findall(r'\.progress\(.+, "([a-z]+)"\)', text)}
    assert len(phases) > 5
    assert len(units) > 2
    wanted = [f"phase.{name}" for name in phases] + [f"unit.{unit}" for unit in units]
    assert [name for name in phases if catalogue("zh").get(f"phase.{name}") == name] == []
    assert [key for key in wanted if key not in catalogue("en")] == []


@pytest.mark.parametrize(
    ("past", "english", "chinese"),
    [
        (1, "just now", "刚刚"),
        (42, "42 s ago", "42 秒前"),
        (200, "3 min ago", "3 分钟前"),
        (7300, "2 h 1 min ago", "2 小时 1 分钟前"),
        (90_000, "1 d 1 h ago", "1 天 1 小时前"),
    ],
)
def test_times_are_told_in_both_languages(past: float, english: str, chinese: str) -> None:
    assert moments.ago(1e9, 1e9 + past, Words("en")) == english
    assert moments.ago(1e9, 1e9 + past, Words("zh")) == chinese


@pytest.mark.parametrize(
    ("place", "said"), [(1, "1st"), (2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th"), (22, "22nd")]
)
def test_a_place_in_the_queue_is_an_ordinal(place: int, said: str) -> None:
    assert parts.ordinal(place, Words("en")) == said
    assert parts.ordinal(place, Words("zh")) == f"第 {place} 位"
