"""Fields of a row, checked: what is wrong with one, in both languages."""

from collections.abc import Mapping
from typing import Any

from shared.errors import both


class WrongRow(ValueError):
    """A row that cannot be used."""

    def __init__(self, en: str, zh: str) -> None:
        super().__init__(en)
        self.words = both(en, zh)


def text_of(row: Mapping[str, Any], key: str, *, place: str = "", empty: bool = False) -> str:
    """The text under a key; `empty` allows none, null and blank. Raises WrongRow.

    `place` says where in the row that is, e.g. "turn 3: ".
    """
    value = row.get(key)
    if value is None and empty:
        return ""
    if key not in row:
        raise WrongRow(f"{place}no {key}", f"{place}缺少 {key}")
    if value is None:
        raise WrongRow(f"{place}{key} is null", f"{place}{key} 为 null")
    if not isinstance(value, str):
        raise _not_text(value, f"{place}{key}")
    if any("\ud800" <= char <= "\udfff" for char in value):
        what = "holds half a surrogate pair, which is not text"
        raise WrongRow(f"{place}{key} {what}", f"{place}{key} 含半个代理对，不是文本")
    if not empty and not value.strip():
        raise WrongRow(f"{place}{key} is empty", f"{place}{key} 为空")
    return value


def list_of(row: Mapping[str, Any], key: str) -> list[Any]:
    """The list with something in it under a key. Raises WrongRow."""
    value = row.get(key)
    if not isinstance(value, list):
        raise WrongRow(f"{key} is not a list", f"{key} 不是列表")
    if not value:
        raise WrongRow(f"{key} is empty", f"{key} 为空")
    return value


def _not_text(value: Any, name: str) -> WrongRow:
    kinds = {
        bool: ("true or false", "真假值"), int: ("a number", "数字"), float: ("a number", "数字"),
        list: ("a list", "列表"), dict: ("an object", "对象"),
    }  # fmt: skip
    en, zh = kinds.get(type(value), ("something else", "其他类型"))
    return WrongRow(f"{name} is not text but {en}", f"{name} 不是文本，而是{zh}")
