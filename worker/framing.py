"""What a base wants around a prompt: the tokens that stand before its text and after it."""

from dataclasses import dataclass
from typing import Any

#: Any text that every tokenizer keeps as it is.
_PROBE = "a"


@dataclass(frozen=True)
class Frame:
    """Ids before and after the text of a prompt; the answer follows."""

    before: tuple[int, ...] = ()
    after: tuple[int, ...] = ()

    @property
    def size(self) -> int:
        """How many tokens it takes."""
        return len(self.before) + len(self.after)

    def around(self, ids: tuple[int, ...]) -> tuple[int, ...]:
        """A prompt's ids in the frame; what the text already begins with comes once."""
        size = len(self.before)
        own = ids[size:] if size and ids[:size] == self.before else ids
        return self.before + own + self.after


def frame_of(tokenizer: Any) -> Frame:
    """What the tokenizer puts around a text by itself, less an end token.

    A begin token that it has but does not put anywhere comes first: bases are trained with it even
    so. GLM's tokenizers put [gMASK] <sop> before a prompt, ChatGLM-6B's after it.
    """
    bare = tuple(tokenizer(_PROBE, add_special_tokens=False)["input_ids"])
    whole = tuple(tokenizer(_PROBE)["input_ids"])
    starts = range(len(whole) - len(bare) + 1)
    at = next((start for start in starts if whole[start : start + len(bare)] == bare), None)
    before, after = ((), ()) if at is None else (whole[:at], whole[at + len(bare) :])
    if after and after[-1] in (tokenizer.eos_token_id, tokenizer.sep_token_id):
        after = after[:-1]
    begin = tokenizer.bos_token_id
    if begin is not None and begin not in before + after:
        before = (begin, *before)
    return Frame(before, after)
