"""Which language this process speaks to its user: English, or Chinese where the locale says so."""

import os

from shared.errors import Language


def language() -> Language:
    """The language of GRAFT_LANG, else of LC_ALL, LC_MESSAGES, LANG (`zh*` means Chinese)."""
    for variable in ("GRAFT_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        if wanted := os.environ.get(variable):
            return "zh" if wanted.lower().startswith("zh") else "en"
    return "en"


def say(en: str, zh: str) -> str:
    """The sentence in this process's language."""
    return zh if language() == "zh" else en
