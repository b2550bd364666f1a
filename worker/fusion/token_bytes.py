"""What text each token of a tokenizer stands for, as UTF-8 bytes."""

import json
import re
from collections.abc import Sequence
from typing import Any

from shared.errors import BadBase

_PROBE = "The river's 3 foxes: 河水, naïve été — ok.\n"


def token_bytes(tokenizer: Any) -> list[bytes | None]:
    """The bytes of each id; None for special tokens, which stand for no text.

    Byte-level BPE and SentencePiece pieces with byte fallback are read. Raises BadBase where the
    tokens of a probe do not join to its text.
    """
    size = len(tokenizer)
    pieces: list[str | None] = tokenizer.convert_ids_to_tokens(list(range(size)))
    special = {*tokenizer.all_special_ids, *_added(tokenizer)}
    read = _byte_level(pieces) if _is_byte_level(tokenizer) else _sentence_pieces(pieces)
    found = [None if place in special else text for place, text in enumerate(read)]
    ids = tokenizer(_PROBE, add_special_tokens=False)["input_ids"]
    joined = b"".join(found[place] or b"" for place in ids)
    if joined.removeprefix(b" ") != _PROBE.encode():
        problem = "the bytes of its tokenizer's tokens cannot be told"
        raise BadBase(location=str(tokenizer.name_or_path), problem=problem)
    return found


def ends(ids: Sequence[int], texts: Sequence[bytes | None]) -> list[int]:
    """Bytes of text up to the end of each token."""
    places, total = [], 0
    for token in ids:
        total += len(texts[token] or b"") if token < len(texts) else 0
        places.append(total)
    return places


def _is_byte_level(tokenizer: Any) -> bool:
    backend = getattr(tokenizer, "backend_tokenizer", None)
    decoder = json.loads(backend.to_str()).get("decoder") if backend is not None else None
    return "ByteLevel" in json.dumps(decoder)


def _added(tokenizer: Any) -> set[int]:
    decoder = getattr(tokenizer, "added_tokens_decoder", {})
    return {place for place, token in decoder.items() if token.special}


def _byte_level(pieces: Sequence[str | None]) -> list[bytes | None]:
    """GPT-2's printable stand-ins for bytes, turned back; others are added text as it is."""
    byte_of = {char: byte for byte, char in _stand_ins().items()}
    return [
        None
        if piece is None
        else bytes(byte_of[char] for char in piece)
        if all(char in byte_of for char in piece)
        else piece.encode()
        for piece in pieces
    ]


def _stand_ins() -> dict[int, str]:
    """Byte -> character: itself where it prints, else the next character from U+0100."""
    prints = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(0x100, 0x200))
    return {byte: chr(byte if byte in prints else next(others)) for byte in range(0x100)}


def _sentence_pieces(pieces: Sequence[str | None]) -> list[bytes | None]:
    found: list[bytes | None] = []
    for piece in pieces:
        byte = re.fullmatch(r"<0x([0-9A-Fa-f]{2})>", piece or "")
        if piece is None:
            found.append(None)
        else:
            found.append(bytes.fromhex(byte[1]) if byte else piece.replace("▁", " ").encode())
    return found
