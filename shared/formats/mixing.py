"""Several datasets as one: weights, languages, de-duplication and a held-out split, all seeded."""

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from shared.errors import Both, InvalidSpec, both
from shared.formats.rows import Row, question_of
from shared.formats.survey import key_of, language_of_row, without_duplicates

_PART = re.compile(r"^\s*([A-Za-z0-9][A-Za-z0-9._-]{0,63})\s*(?:[:：]\s*([0-9.]+)\s*)?$")


@dataclass(frozen=True)
class Part:
    """A dataset or a language, and its share of what is drawn; None takes all of it once."""

    name: str
    weight: float | None = None


@dataclass
class Mixed:
    """Rows to train on, rows kept from it, and what was done to get there."""

    rows: list[Row]
    held_out: list[Row] = field(default_factory=list)
    #: One sentence for each thing that was done.
    notes: list[Both] = field(default_factory=list)


def parse_parts(text: str, field_name: str) -> list[Part]:
    """`alpaca:2,belle:1`, `alpaca,belle` or `alpaca` as parts.

    With weights the parts are drawn in their proportion, without any each row comes once.
    Raises InvalidSpec for another syntax, a part named twice, or weights for only some.
    """
    found: list[Part] = []
    for each in re.split("[,，]", text):
        match = _PART.match(each)
        weight = float(match[2]) if match and match[2] and _is_number(match[2]) else None
        if match is None or (match[2] and not weight):
            problem = f'"{each.strip()}" is no name or name:weight, as in alpaca:2,belle:1'
            raise InvalidSpec(field=field_name, problem=problem)
        found.append(Part(match[1], weight))
    names = [part.name for part in found]
    if len(set(names)) < len(names):
        raise InvalidSpec(field=field_name, problem=f"a name occurs twice (given: {text})")
    if len({part.weight is None for part in found}) > 1:
        problem = f"either every part has a weight or none has (given: {text})"
        raise InvalidSpec(field=field_name, problem=problem)
    return found


def mix(
    parts: Sequence[tuple[Part, Sequence[Row]]],
    *,
    seed: int,
    languages: str = "",
    deduplicate: bool = False,
    held_out: float = 0.0,
    rows: int = 0,
) -> Mixed:
    """Draw the rows of a training from its datasets.

    In this order: duplicates out, the held-out share of the instructions out, datasets in the
    proportion of their weights, languages in that of theirs, then `rows` of what is there. All
    draws follow from the seed. Raises InvalidSpec for a language that no row is in.
    """
    made = Mixed([])
    given = {part.name: list(found) for part, found in parts}
    if deduplicate:
        given = _deduplicated(given, made)
    if held_out:
        given, made.held_out = _split(given, held_out, seed)
        en = f"held out: {len(made.held_out)} rows, all rows of {held_out:.3g} of the instructions"
        zh = f"留出：{len(made.held_out)} 行，即 {held_out:.3g} 的指令的全部行"
        made.notes.append(both(en, zh))
    weights = {part.name: part.weight for part, _ in parts}
    made.rows = _drawn(given, weights, seed, made.notes)
    if languages:
        made.rows = _in_languages(made.rows, languages, seed, made.notes)
    if 0 < rows < len(made.rows):
        picked = random.Random(seed).sample(range(len(made.rows)), rows)
        made.rows = [made.rows[number] for number in sorted(picked)]
    return made


def split(rows: Sequence[Row], share: float, seed: int) -> tuple[list[Row], list[Row]]:
    """Rows to train on and held-out ones; rows with one instruction are on one side.

    An instruction's side follows from its words and the seed alone, so a row keeps its side when
    others come or go. A translation is another instruction: hold out each language by itself.
    """
    sides: tuple[list[Row], list[Row]] = ([], [])
    for row in rows:
        # A 64-bit key as a number from 0 to 1.
        place = key_of([str(seed), question_of(row)]) / 2**64
        sides[place < share].append(row)
    return sides


def _split(
    given: Mapping[str, list[Row]], share: float, seed: int
) -> tuple[dict[str, list[Row]], list[Row]]:
    sides = {name: split(rows, share, seed) for name, rows in given.items()}
    train = {name: side[0] for name, side in sides.items()}
    return train, [row for side in sides.values() for row in side[1]]


def _deduplicated(given: Mapping[str, list[Row]], made: Mixed) -> dict[str, list[Row]]:
    """Each row once over all datasets; it stays in the first that has it."""
    every = [(name, row) for name, rows in given.items() for row in rows]
    kept = {id(row) for row in without_duplicates(row for _, row in every)}
    out, total = len(every) - len(kept), len(every)
    en, zh = f"duplicates left out: {out} of {total} rows", f"去重：{total} 行中略去 {out} 行"
    made.notes.append(both(en, zh))
    return {name: [row for row in rows if id(row) in kept] for name, rows in given.items()}


def _drawn(
    given: Mapping[str, list[Row]],
    weights: Mapping[str, float | None],
    seed: int,
    notes: list[Both],
) -> list[Row]:
    """Rows of each part in the proportion of the weights, as many as there are altogether."""
    total = sum(map(len, given.values()))
    known = {name: weight for name, weight in weights.items() if weight is not None}
    if not known:
        return [row for rows in given.values() for row in rows]
    found: list[Row] = []
    for number, (name, rows) in enumerate(given.items()):
        wanted = round(total * known[name] / sum(known.values()))
        found += _some(rows, wanted, seed + number)
        en = f"{name}: {wanted} rows drawn from {len(rows)}"
        notes.append(both(en, f"{name}：从 {len(rows)} 行中抽取 {wanted} 行"))
    return found


def _in_languages(rows: list[Row], languages: str, seed: int, notes: list[Both]) -> list[Row]:
    parts = parse_parts(languages, "languages")
    by_language: dict[str, list[Row]] = {part.name: [] for part in parts}
    for row in rows:
        language = language_of_row(row)
        if language in by_language:
            by_language[language].append(row)
    for name, there in by_language.items():
        if not there:
            problem = f'no row is in "{name}"; languages are en and zh'
            raise InvalidSpec(field="languages", problem=problem)
    en = ", ".join(f"{name}: {len(there)} rows" for name, there in by_language.items())
    zh = "，".join(f"{name}：{len(there)} 行" for name, there in by_language.items())
    notes.append(both(en, zh))
    return _drawn(by_language, {part.name: part.weight for part in parts}, seed, notes)


def _some(rows: Sequence[Row], wanted: int, seed: int) -> list[Row]:
    """So many of the rows: all of them as often as they fit, and a draw of the rest."""
    if not rows:
        return []
    whole, rest = divmod(wanted, len(rows))
    picked = sorted(random.Random(seed).sample(range(len(rows)), rest))
    return [*rows] * whole + [rows[number] for number in picked]


def _is_number(text: str) -> bool:
    return text.count(".") <= 1 and text != "."
