"""Training files as rows: format found or forced, each row checked, one in memory at a time."""

from collections.abc import Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any

from shared.errors import EmptyData, InvalidSpec, NoHeader, UnknownFormat, both
from shared.formats.fields import WrongRow
from shared.formats.rows import Conversation, Preference, Row, Text
from shared.formats.shapes import FORMATS, Format, almost, format_of
from shared.formats.values import Broken, container_of, values
from shared.formats.wrong import Wrong

#: Wrong rows after which the rest is not read: the file is something else.
_HOPELESS = 10_000
#: Rows looked at to find the format.
_LOOK = 20
_HEADERS = "instruction, input, output; context, target; content, summary; prompt, response; text"


def read_rows(path: Path, format: str = "") -> list[Row]:
    """All rows of a training file. Raises what `rows` raises."""
    return [row for _, row in rows(path, format)]


def rows(path: Path, format: str = "", *, skip: bool = False) -> Iterator[tuple[int, Row]]:
    """Rows of a training file with their lines (places in a JSON array).

    `format` is a name of FORMATS; empty looks at the first rows. `skip` leaves out rows that are
    wrong. Raises FileMissing, IsFolder, what reading the container raises, UnknownFormat, NoHeader,
    EmptyData, and, after the last row, BadRows listing the wrong ones.
    """
    for number, _, made in _checked(path, format, skip):
        for row in made:
            yield number, row


def read_questions(path: Path, format: str = "") -> list[Conversation]:
    """The question of every row of a training file, its answer if there is one left in place.

    Raises what `rows` raises, and BadRows where rows are texts, which ask nothing.
    """
    found: list[Conversation] = []
    wrong = Wrong(path)
    for number, row in rows(path, format):
        if isinstance(row, Text):
            wrong.add(number, both("a text asks nothing", "纯文本没有提问"))
        else:
            found.append(row.prompt if isinstance(row, Preference) else row)
    if wrong.count:
        raise wrong.error(len(found) + wrong.count)
    return found


def usable(path: Path, format: str = "") -> Iterator[Any]:
    """The values of a file whose rows can be used, and None for each that cannot.

    Raises what `rows` raises where none can be.
    """
    for _, value, made in _checked(path, format, skip=True):
        yield value if made else None


def _checked(path: Path, format: str, skip: bool) -> Iterator[tuple[int, Any, Sequence[Row]]]:
    """Each value with its line and its rows; none where it is wrong."""
    source = values(path)
    head = list(islice(source, _LOOK))
    kind = _format(path, head, format)
    wrong, count = Wrong(path), 0
    for number, value in chain(head, source):
        count += 1
        made: Sequence[Row] = ()
        try:
            if isinstance(value, Broken):
                wrong.add(number, value)
            else:
                made = _row(kind, value)
        except WrongRow as problem:
            wrong.add(number, problem.words)
        if wrong.count >= _HOPELESS and not skip:
            break
        yield number, value, made
    if wrong.count and (not skip or wrong.count == count):
        raise wrong.error(count)


def detect(path: Path, format: str = "") -> Format:
    """The format of a file, by its first rows. Raises what `rows` raises before its first row."""
    return _format(path, list(islice(values(path), _LOOK)), format)


def _format(path: Path, head: Sequence[tuple[int, Any]], name: str) -> Format:
    if name:
        for each in FORMATS.values():
            if each.name == name:
                return each
        problem = f'there is no "{name}"; known: {", ".join(FORMATS)}'
        raise InvalidSpec(field="format", problem=problem)
    if not head:
        raise EmptyData(file=path.name)
    usable = [(number, value) for number, value in head if not isinstance(value, Broken)]
    # Where one row of BELLE's has turns, the others are its single questions.
    belle = FORMATS["belle"]
    if any(isinstance(value, dict) and belle.fits(value) for _, value in usable):
        return belle
    found = next((each for _, value in usable if (each := format_of(value))), None)
    found = found or next((each for _, value in usable if (each := almost(value))), None)
    if found is not None:
        return found
    number, value = (usable or head)[0]
    if not usable and isinstance(value, Broken):
        wrong = Wrong(path)
        for line, broken in head:
            wrong.add(line, broken)
        raise wrong.error(len(head))
    if isinstance(value, dict):
        keys = ", ".join(map(str, list(value)[:8])) or "-"
        if container_of(path) == "csv":
            raise NoHeader(file=path.name, found=keys[:200], known=_HEADERS)
        known = "; ".join(f"{each.name} ({each.keys})" for each in FORMATS.values())
        raise UnknownFormat(file=path.name, line=number, found=keys[:200], known=known)
    wrong = Wrong(path)
    for line, _ in usable:
        wrong.add(line, both("not an object", "不是对象"))
    raise wrong.error(len(head))


def _row(kind: Format, value: Any) -> Sequence[Row]:
    """The rows of a value. Raises WrongRow."""
    if not isinstance(value, dict):
        raise WrongRow("not an object", "不是对象")
    other = format_of(value)
    alike = other is None or {kind.name, other.name} <= {"alpaca", "belle"}
    if other is not None and not alike and not kind.fits(value):
        en = f"a row of format {other.name} in a file of {kind.name}"
        raise WrongRow(en, f"{kind.name} 文件中出现 {other.name} 格式的行")
    made = kind.read(value)
    return (made,) if isinstance(made, Conversation | Text | Preference) else made
