"""Where two texts differ: words in Latin script, characters in Chinese, numbers whole."""

import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from html import escape

_TOKEN = re.compile(r"\d+(?:[.,]\d+)*|[^\W\d_㐀-鿿豈-﫿]+|\s+|.", re.DOTALL)
#: Beyond this many tokens the comparison would take seconds; such texts are shown whole.
MOST_TOKENS = 4000
Piece = tuple[str, bool]


def tokens(text: str) -> list[str]:
    """A text in the units that are compared."""
    return _TOKEN.findall(text)


def differing(before: str, after: str) -> tuple[list[Piece], list[Piece]]:
    """Both texts as (stretch, does it differ from the other text)."""
    old, new = tokens(before), tokens(after)
    if len(old) > MOST_TOKENS or len(new) > MOST_TOKENS:
        return [(before, before != after)], [(after, before != after)]
    left: list[Piece] = []
    right: list[Piece] = []
    for kind, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        left.append(("".join(old[a:b]), kind != "equal"))
        right.append(("".join(new[c:d]), kind != "equal"))
    return _joined(left), _joined(right)


def _joined(pieces: Sequence[Piece]) -> list[Piece]:
    """Neighbours of one kind as one; a lone space between two differences belongs to them."""
    out: list[Piece] = []
    for place, (text, differs) in enumerate(pieces):
        if not text:
            continue
        island = not text.strip() and 0 < place < len(pieces) - 1
        own = differs or (island and pieces[place - 1][1] and pieces[place + 1][1])
        if out and out[-1][1] == own:
            out[-1] = (out[-1][0] + text, own)
        else:
            out.append((text, own))
    return out


def marked(pieces: Sequence[Piece], tag: str) -> str:
    """HTML of a text whose differing stretches are `<del>` or `<ins>`; everything is escaped."""
    return "".join(
        f"<{tag}>{escape(text)}</{tag}>" if differs else escape(text) for text, differs in pieces
    )
