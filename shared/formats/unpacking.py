"""A file's bytes and lines, a piece at a time: gzip undone, encodings and bombs refused."""

import codecs
import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from shared.errors import (
    BadGzip,
    Both,
    FileMissing,
    HasNul,
    IsArchive,
    IsFolder,
    IsPickle,
    NotText,
    RowTooLong,
    TooDense,
    both,
)

#: Bytes read at once.
PIECE = 1 << 20
#: Characters of the longest row that is read; what is longer is no row but a missing line break.
LONGEST = 16 << 20
#: A gzip file may unpack to this many times its size before it is taken for a bomb; real text
#: stays below 20, a table of equal rows below 100.
RATIO = 200
#: Bytes that may always be unpacked.
HARMLESS = 16 << 20
#: How a file begins -> what it is, for those that are not unpacked here.
_ARCHIVES = {
    b"PK\x03\x04": "zip", b"PK\x05\x06": "zip", b"7z\xbc\xaf": "7z", b"Rar!": "rar",
    b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd",
}  # fmt: skip
_TAR = slice(257, 262)
_GZIP = b"\x1f\x8b"
#: Pickle's protocols 2 to 5 begin with their number, and torch's files of old with a long one.
_PICKLES = tuple(bytes((0x80, number)) for number in range(2, 6))
#: Encodings people save Chinese or Windows text in, most telling first.
_GUESSES = ("gb18030", "big5", "shift_jis")


def beginning(path: Path, size: int = 512) -> bytes:
    """The first bytes of a file, unpacked.

    Raises FileMissing, IsFolder, IsArchive, IsPickle, BadGzip.
    """
    _require_file(path)
    with path.open("rb") as file:
        head = file.read(512)
        if head.startswith(_GZIP):
            with gzip.open(path) as inner:
                try:
                    head = inner.read(size)
                except (EOFError, OSError, zlib.error):
                    raise BadGzip(file=path.name, line=1) from None
    for mark, kind in _ARCHIVES.items():
        if head.startswith(mark):
            raise IsArchive(file=path.name, kind=kind)
    if head[_TAR] == b"ustar" or head.startswith(_GZIP):
        raise IsArchive(file=path.name, kind="tar" if head[_TAR] == b"ustar" else "gzip")
    if head.startswith(_PICKLES):
        raise IsPickle(file=path.name)
    return head


def texts(path: Path) -> Iterator[str]:
    """The file's text, about a MiB at a time; a byte-order mark is left out.

    Raises what `beginning` raises, and NotText, HasNul, TooDense.
    """
    beginning(path)
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    line, read = 1, 0
    for piece, last in _pieces(path):
        try:
            text = decoder.decode(piece, last)
        except UnicodeDecodeError as wrong:
            before = wrong.object[: wrong.start]
            place = read + wrong.start - (len(wrong.object) - len(piece))
            raise NotText(
                file=path.name, line=line + before.count(b"\n"), position=place,
                guess=_guess(path, wrong.object[wrong.start : wrong.start + 4096]),
            ) from None  # fmt: skip
        if "\0" in text:
            raise HasNul(file=path.name, line=line + text[: text.index("\0")].count("\n"))
        line += text.count("\n")
        read += len(piece)
        if text:
            yield text


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """Lines with their numbers from 1, without their ends; none is held longer than LONGEST.

    Raises what `texts` raises, and RowTooLong.
    """
    number, waiting, size = 1, [], 0
    for text in texts(path):
        if not size and text.isspace() and "\n" in text:
            # A stretch of empty lines says no more than one.
            yield number, ""
            number += text.count("\n")
            continue
        # Not splitlines(): a JSON text may hold U+2028 and its like unescaped.
        first, *others = text.split("\n")
        waiting.append(first)
        size += len(first)
        for other in others:
            yield number, "".join(waiting).removesuffix("\r")
            number, waiting, size = number + 1, [other], len(other)
        if size > LONGEST:
            raise RowTooLong(file=path.name, line=number, limit=LONGEST >> 20)
    if size:
        yield number, "".join(waiting).removesuffix("\r")


def _require_file(path: Path) -> None:
    if path.is_dir():
        raise IsFolder(file=str(path))
    if not path.is_file():
        raise FileMissing(file=str(path))


def _pieces(path: Path) -> Iterator[tuple[bytes, bool]]:
    """Unpacked pieces, the last one marked."""
    size = path.stat().st_size
    with path.open("rb") as raw:
        packed = raw.read(2) == _GZIP
        raw.seek(0)
        file: BinaryIO = gzip.GzipFile(fileobj=raw) if packed else raw  # pyright: ignore
        read, line = 0, 1
        while True:
            try:
                piece = file.read(PIECE)
            except (EOFError, OSError, zlib.error):
                raise BadGzip(file=path.name, line=line) from None
            read += len(piece)
            line += piece.count(b"\n")
            if packed and read > max(HARMLESS, RATIO * size):
                raise TooDense(file=path.name, line=line, ratio=RATIO)
            yield piece, not piece
            if not piece:
                return


def _guess(path: Path, after: bytes) -> Both | str:
    """What encoding the bytes that are no UTF-8 seem to be in."""
    head = beginning(path)
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "UTF-16"
    for name in _GUESSES:
        try:
            codecs.getincrementaldecoder(name)().decode(after)
        except UnicodeDecodeError:
            continue
        return name.upper()
    return both("no text at all", "并非文本")
