"""JSON arrays, JSON lines, tables and plain text as (line, value) pairs, one at a time."""

import csv
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from json.decoder import JSONDecodeError
from pathlib import Path
from typing import Any, Literal

from shared.errors import BadTable, Both, NotJson, RowTooLong, both
from shared.formats import parquet
from shared.formats.unpacking import LONGEST, beginning, lines, texts

Container = Literal["json", "jsonl", "csv", "parquet", "text"]
_ARRAY = re.compile(r"\s*\[")
_SPACE = re.compile(r"\s*")
_TABLES = (".csv", ".tsv")
_PROSE = (".txt", ".md")


@dataclass(frozen=True)
class Broken:
    """A line that is no value, and why."""

    problem: Both
    #: Whether JSON was expected.
    json: bool = True

    @property
    def words(self) -> Both:
        """The problem beside those of other rows."""
        if not self.json:
            return self.problem
        en, zh = self.problem["en"], self.problem["zh"]
        return both(f"not valid JSON: {en}", f"不是合法的 JSON：{zh}")


class _Twice(ValueError):
    """An object with a key that occurs twice."""


def container_of(path: Path) -> Container:
    """What kind of file this is, by its first bytes, then by its name.

    Raises what `beginning` raises, BadParquet where the name says Parquet and the bytes do not.
    """
    head = beginning(path)
    endings = [suffix.lower() for suffix in path.suffixes]
    if parquet.is_one(path, head, named=endings[-1:] == [".parquet"]):
        return "parquet"
    start = head.decode("utf-8-sig", errors="ignore").lstrip()
    if not any(ending in endings for ending in (*_TABLES, *_PROSE)):
        return "json" if start.startswith("[") else "jsonl"
    if start.startswith("{") or re.match(r"\[\s*[\[{\"]", start):
        return "json" if start.startswith("[") else "jsonl"
    return "csv" if any(ending in endings for ending in _TABLES) else "text"


def values(path: Path) -> Iterator[tuple[int, Any]]:
    """Every value of a file with its line (a JSON array's with its place), `Broken` lines among
    them.

    Raises what cannot be read on from: NotJson in an array, BadTable, BadParquet, RowTooLong, and
    what `texts` raises.
    """
    kind = container_of(path)
    read = {
        "json": _array, "jsonl": _json_lines, "csv": _table, "text": _paragraphs,
        "parquet": parquet.values,
    }[kind]  # fmt: skip
    return read(path)


def json_values(path: Path) -> Iterator[tuple[int, Any]]:
    """The values of a file that is JSON whatever its name. Raises what `values` raises."""
    start = beginning(path).decode("utf-8-sig", errors="ignore").lstrip()
    return _array(path) if start.startswith("[") else _json_lines(path)


def _json_lines(path: Path) -> Iterator[tuple[int, Any]]:
    for number, line in lines(path):
        if line.strip():
            try:
                yield number, _decoder.decode(line)
            except (ValueError, RecursionError) as wrong:
                yield number, Broken(_reason(wrong))


def _array(path: Path) -> Iterator[tuple[int, Any]]:
    text, at, line, place = "", 0, 1, 0
    source = texts(path)

    def more() -> bool:
        """Read on, at least as much as there is, so that a long row is not tried too often."""
        nonlocal text, at, line
        line += text.count("\n", 0, at)
        text, at = text[at:], 0
        wanted, before = 2 * len(text), len(text)
        while len(text) <= wanted and (piece := next(source, "")):
            text += piece
        return len(text) > before

    def skip() -> str:
        """The next character that is no space; empty at the end."""
        nonlocal at
        while True:
            found = _SPACE.match(text, at)
            at = found.end() if found else at
            if at < len(text):
                return text[at]
            if not more():
                return ""

    def refuse(problem: Both, further: int = 0) -> NotJson:
        where = line + text.count("\n", 0, at + further)
        return NotJson(file=path.name, line=where, problem=problem)

    skip()
    at += 1
    if skip() == "]":
        at += 1
        return
    while True:
        skip()
        try:
            value, end = _decoder.raw_decode(text, at)
        except JSONDecodeError as wrong:
            further = wrong.pos - at
            # Perhaps the row only goes on in the next piece.
            if len(text) - at <= LONGEST and more():
                continue
            if len(text) - at > LONGEST and wrong.msg.startswith("Unterminated"):
                raise RowTooLong(file=path.name, line=line, limit=LONGEST >> 20) from None
            raise refuse(_reason(wrong), further) from None
        except (ValueError, RecursionError) as wrong:
            raise refuse(_reason(wrong)) from None
        at, place = end, place + 1
        yield place, value
        mark = skip()
        at += 1
        if mark == "]":
            break
        if mark != ",":
            at -= 1
            raise refuse(both("a comma or ] is missing", "缺少逗号或 ]"))
    if skip():
        raise refuse(both("something follows the array", "数组之后还有内容"))


def _table(path: Path) -> Iterator[tuple[int, Any]]:
    csv.field_size_limit(LONGEST)
    source = (line + "\n" for _, line in lines(path))
    first = next(source, "")
    mark = "\t" if first.count("\t") > first.count(",") else ","
    mark = ";" if first.count(";") > first.count(mark) else mark
    header = next(csv.reader([first], delimiter=mark), [])
    names = [name.strip() for name in header]
    reader = csv.reader(source, delimiter=mark, strict=True)
    while True:
        number = reader.line_num + 2
        try:
            row = next(reader, None)
        except csv.Error as wrong:
            raise BadTable(file=path.name, line=number, problem=_torn(str(wrong))) from None
        if row is None:
            return
        if not row:
            continue
        if len(row) != len(names):
            en = f"{len(row)} fields where the header names {len(names)}"
            zh = f"有 {len(row)} 个字段，而表头有 {len(names)} 个"
            yield number, Broken(both(en, zh), json=False)
        else:
            yield number, dict(zip(names, row, strict=True))


def _torn(said: str) -> Both:
    """What csv's complaint means."""
    if "unexpected end" in said or "field larger" in said:
        return both("a quote is opened and never closed", "引号未闭合")
    return both(said, said)


def _paragraphs(path: Path) -> Iterator[tuple[int, Any]]:
    """Texts between empty lines, by the line they begin in."""
    begin, found, size = 0, [], 0
    for number, line in lines(path):
        if line.strip():
            begin = begin or number
            found.append(line)
            size += len(line)
            if size > LONGEST:
                raise RowTooLong(file=path.name, line=begin, limit=LONGEST >> 20)
        elif found:
            yield begin, {"text": "\n".join(found)}
            begin, found, size = 0, [], 0
    if found:
        yield begin, {"text": "\n".join(found)}


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))
        raise _Twice(twice)
    return found


_decoder = json.JSONDecoder(object_pairs_hook=_once)


def _reason(wrong: Exception) -> Both:
    if isinstance(wrong, _Twice):
        return both(f'the key "{wrong}" occurs twice', f"键“{wrong}”出现两次")
    if isinstance(wrong, JSONDecodeError):
        return both(wrong.msg, wrong.msg)
    if isinstance(wrong, RecursionError):
        return both("nested too deeply", "嵌套过深")
    return both(str(wrong), str(wrong))
