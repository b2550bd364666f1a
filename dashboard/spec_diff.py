"""Where two specs differ, and only there, under the names their forms use."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.errors import Language
from shared.specs import FUSION_METHODS, SPECS
from shared.specs.parameters import parameters

_ABSENT = "–"


@dataclass(frozen=True)
class Difference:
    """One field that is not the same in both."""

    field: str
    title: str
    mine: str
    other: str


def differences(
    mine: Mapping[str, Any], other: Mapping[str, Any], language: Language
) -> list[Difference]:
    """The fields whose values differ, in the order of the first spec; the name is left out."""
    left, right = flat(mine), flat(other)
    titles = _titles(mine, language) | _titles(other, language)
    return [
        Difference(
            field, titles.get(field.rpartition(".")[2], field), _said(left, field),
            _said(right, field),
        )
        for field in dict.fromkeys([*left, *right])
        if field != "name" and left.get(field, _ABSENT) != right.get(field, _ABSENT)
    ]  # fmt: skip


def flat(spec: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """A spec's fields with those of nested specs as `params.rank`."""
    found: dict[str, Any] = {}
    for name, value in spec.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{above}{name}.")
        else:
            found[above + name] = value
    return found


def _said(fields: Mapping[str, Any], field: str) -> str:
    value = fields.get(field, _ABSENT)
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _titles(spec: Mapping[str, Any], language: Language) -> dict[str, str]:
    """What forms call the fields of such a spec."""
    method = FUSION_METHODS.get(str((spec.get("params") or {}).get("method", "")))
    forms = [SPECS[str(spec["kind"])]] if spec.get("kind") in SPECS else []
    return {
        each.name: each.title(language)
        for form in [*forms, *([method] if method else [])]
        for each in parameters(form)
    }
