"""Items as token ids: the template, what a base wants around a prompt, and what it can read."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from shared.errors import BadData
from shared.templates import render
from worker.framing import Frame, frame_of


@dataclass
class Reader:
    """Turns the texts of one benchmark into ids for one base, and counts items it had to cut."""

    tokenizer: Any
    template: str
    #: The benchmark's name, for messages.
    benchmark: str
    #: Most tokens of prompt and answer together; None where the base names no limit.
    limit: int | None
    #: Room a generated answer may take.
    max_new_tokens: int
    truncated: int = field(default=0, init=False)

    def prompt(self, text: str, lang: str, room: int) -> list[int]:
        """An instruction in its template, leaving `room` tokens; its beginning is cut if need be.

        Cut at the beginning, because the template's end is what asks for the answer.
        """
        ids, cut = self.fit(self.ids(render(self.template, text, lang=lang)), room)
        self.truncated += cut
        return ids

    def ids(self, text: str) -> list[int]:
        """The ids of a text alone, without any token that marks beginning or end."""
        # verbose: the tokenizer's own warning about long texts; `truncated` reports what is cut.
        found = self.tokenizer(text, add_special_tokens=False, verbose=False)
        return list(found["input_ids"])

    @cached_property
    def frame(self) -> Frame:
        """The tokens that stand around every context."""
        return frame_of(self.tokenizer)

    def fit(self, ids: list[int], room: int) -> tuple[list[int], bool]:
        """Ids in the base's frame (a beginning-of-text token comes once), and whether they were
        cut from the left to leave `room` tokens.

        Raises BadData where not even one token would be left.
        """
        before, after = list(self.frame.before), list(self.frame.after)
        if before and ids[: len(before)] == before:
            ids = ids[len(before) :]
        keep = len(ids) if self.limit is None else self.limit - room - self.frame.size
        if keep < 1 <= len(ids):
            raise BadData(
                file=self.benchmark,
                problem=f"an answer of {room} tokens leaves no room for its prompt: the base "
                f"reads {self.limit} tokens. Ask for shorter answers",
            )
        return before + ids[-keep:] + after, keep < len(ids)


def end_tokens(tokenizer: Any, model: Any) -> frozenset[int]:
    """Every id that ends a text: the tokenizer's and those of the base's generation settings."""
    settings = getattr(model, "generation_config", None)
    more = getattr(settings, "eos_token_id", None)
    ids = more if isinstance(more, list) else [more]
    return frozenset(token for token in [tokenizer.eos_token_id, *ids] if token is not None)


def reading_limit(model: Any) -> int | None:
    """How many tokens the base can read, by its config; None where it names no limit."""
    return getattr(model.config.get_text_config(), "max_position_embeddings", None)
