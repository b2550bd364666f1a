"""The dashboard's words: a JSON catalogue for each language, and which one a visitor reads."""

import json
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import cast

import streamlit as st

from shared.errors import LANGUAGES, Language
from shared.phases import PHASES, phase_words
from shared.specs import FUSION_METHODS

_FOLDER = Path(__file__).with_name("locales")
_STATE = "language"
#: Each language's own name, the same in every language.
NAMES: dict[Language, str] = {"en": "EN", "zh": "中文"}


@lru_cache(maxsize=4)
def catalogue(language: Language) -> dict[str, str]:
    """All texts of a language, by key; phases and fusion methods have theirs in `shared`."""
    texts = json.loads((_FOLDER / f"{language}.json").read_text(encoding="utf-8"))
    texts |= {f"phase.{name}": phase_words(name)[language] for name in PHASES}
    for name, method in FUSION_METHODS.items():
        texts[f"method.{name}"] = method.title.say(language)
        texts[f"method.{name}.help"] = method.summary.say(language)
    return texts


class Words:
    """The texts of one language; bound before a widget is drawn, so callbacks may use it."""

    def __init__(self, language: Language) -> None:
        self.language: Language = language
        self._texts = catalogue(language)

    def __call__(self, key: str, **values: object) -> str:
        """The text of a key, with its values filled in. Raises KeyError for an unknown key."""
        text = self._texts[key]
        return text.format(**values) if values else text

    def code(self, group: str, code: str) -> str:
        """The word of a canonical code, e.g. ("state", "queued"); the code where it has none."""
        return self._texts.get(f"{group}.{code}", code)

    def codes(self, group: str) -> Callable[[str], str]:
        """`code` of one group, for a widget's format_func."""
        return lambda code: self.code(group, code)


def words() -> Words:
    """The words of this visitor."""
    return Words(current())


def current() -> Language:
    """`?lang=`, else what was chosen with the switch, else the browser's language, else English."""
    asked = st.query_params.get("lang")
    if asked in LANGUAGES:
        st.session_state[_STATE] = asked
    chosen = st.session_state.get(_STATE)
    if chosen is None:
        locale = st.context.locale or ""
        chosen = "zh" if locale.lower().startswith("zh") else "en"
    return cast(Language, chosen)


def switch() -> None:
    """The control that changes the language; everything else stays as it is."""
    st.segmented_control(
        "Language / 语言",
        LANGUAGES,
        default=current(),
        required=True,
        format_func=NAMES.__getitem__,
        key=f"_{_STATE}",
        on_change=_take,
        label_visibility="collapsed",
    )


def _take() -> None:
    st.session_state[_STATE] = st.session_state[f"_{_STATE}"]
    # A link's language gives way to what its reader chose.
    st.query_params.pop("lang", None)
