"""What a text is searched by: words where letters are Latin, character pairs where they are Han."""

import hashlib
import re
import unicodedata

_HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_PIECES = re.compile(rf"([{_HAN}]+)|([^\W_{_HAN}]+)")


def terms(text: str) -> list[str]:
    """The terms of a text in order, width and case folded.

    Chinese writes no spaces, so a run of Han characters gives its overlapping pairs (a single
    character itself); pairs retrieve as well as segmented words and need no dictionary.
    """
    found: list[str] = []
    for han, word in _PIECES.findall(unicodedata.normalize("NFKC", text).lower()):
        if word:
            found.append(word)
        elif len(han) == 1:
            found.append(han)
        else:
            found += [han[place : place + 2] for place in range(len(han) - 1)]
    return found


def content_hash(*texts: str) -> str:
    """Digest of texts that are the same but for width, case, spaces and punctuation.

    Texts of marks alone keep their marks, or all of them would be the same.
    """
    folded = []
    for text in texts:
        plain = "".join(unicodedata.normalize("NFKC", text).lower().split())
        folded.append("".join(re.findall(r"\w", plain)) or plain)
    return hashlib.sha256("\x1f".join(folded).encode()).hexdigest()
