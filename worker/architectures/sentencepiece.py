"""Reading a SentencePiece model file without its library: three messages of protobuf's form."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any


class Kind(IntEnum):
    """What a piece is (ModelProto.SentencePiece.Type)."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5
    BYTE = 6


@dataclass(frozen=True, slots=True)
class Vocable:
    """A piece of the vocabulary; its place in the list is its id."""

    text: str
    #: Log-probability in a unigram model; minus the rank of its merge in a BPE model.
    score: float
    kind: Kind


@dataclass(frozen=True)
class SentencePiece:
    """What of a model file says how text becomes ids."""

    vocabulary: list[Vocable]
    #: 1 unigram, 2 BPE, 3 word, 4 char (TrainerSpec.ModelType).
    algorithm: int
    byte_fallback: bool
    #: Precompiled table of character replacements; empty for none.
    charsmap: bytes
    add_dummy_prefix: bool
    remove_extra_whitespaces: bool


def read_sentencepiece(path: Path) -> SentencePiece:
    """The model in a file. Raises ValueError where it is none (a git-lfs pointer, cut short)."""
    try:
        found = _parsed(path.read_bytes())
    except (IndexError, struct.error, UnicodeDecodeError, TypeError) as wrong:
        raise ValueError(f"{path.name} is no SentencePiece model") from wrong
    if not found.vocabulary:
        raise ValueError(f"{path.name} is no SentencePiece model (a git-lfs pointer?)")
    return found


def _parsed(data: bytes) -> SentencePiece:
    vocabulary: list[Vocable] = []
    trainer: dict[int, Any] = {}
    normaliser: dict[int, Any] = {}
    for number, value in _fields(data):
        if number == 1:
            piece = dict(_fields(value))
            text = bytes(piece[1]).decode() if 1 in piece else ""
            vocabulary.append(Vocable(text, piece.get(2, 0.0), Kind(piece.get(3, 1))))
        elif number == 2:
            trainer = dict(_fields(value))
        elif number == 3:
            normaliser = dict(_fields(value))
    return SentencePiece(
        vocabulary=vocabulary,
        algorithm=trainer.get(3, 1),
        byte_fallback=bool(trainer.get(35, 0)),
        charsmap=bytes(normaliser.get(2, b"")),
        add_dummy_prefix=bool(normaliser.get(3, 1)),
        remove_extra_whitespaces=bool(normaliser.get(4, 1)),
    )


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """(number, value) of a message's fields: ints, floats, or bytes of what nests."""
    place = 0
    while place < len(data):
        key, place = _varint(data, place)
        kind = key & 7
        if kind == 0:
            value, place = _varint(data, place)
        elif kind == 2:
            size, place = _varint(data, place)
            if place + size > len(data):
                raise IndexError("cut short")
            value, place = data[place : place + size], place + size
        elif kind in (1, 5):
            form, size = ("<d", 8) if kind == 1 else ("<f", 4)
            (value,), place = struct.unpack(form, data[place : place + size]), place + size
        else:
            raise TypeError(f"wire type {kind}")
        yield key >> 3, value


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[place]
        place += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, place
