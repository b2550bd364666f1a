"""Items as token ids: the template, the beginning-of-text token, and what a base can read."""

from dataclasses import dataclass, field
from typing import Any

from shared.errors import BadData
from shared.templates import render


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

    def fit(self, ids: list[int], room: int) -> tuple[list[int], bool]:
        """Ids after the beginning-of-text token (once, where there is one), and whether they were
        cut from the left to leave `room` tokens.

        Raises BadData where not even one token would be left.
        """
        first = self.tokenizer.bos_token_id
        start = [] if first is None else [first]
        ids = ids[1:] if ids[:1] == start else ids
        keep = len(ids) if self.limit is None else self.limit - room - len(start)
        if keep < 1 <= len(ids):
            raise BadData(
                file=self.benchmark,
                problem=f"an answer of {room} tokens leaves no room for its prompt: the base "
                f"reads {self.limit} tokens. Ask for shorter answers",
            )
        return start + ids[-keep:], keep < len(ids)


def end_tokens(tokenizer: Any, model: Any) -> frozenset[int]:
    """Every id that ends a text: the tokenizer's and those of the base's generation settings."""
    settings = getattr(model, "generation_config", None)
    more = getattr(settings, "eos_token_id", None)
    ids = more if isinstance(more, list) else [more]
    return frozenset(token for token in [tokenizer.eos_token_id, *ids] if token is not None)


def reading_limit(model: Any) -> int | None:
    """How many tokens the base can read, by its config; None where it names no limit."""
    return getattr(model.config.get_text_config(), "max_position_embeddings", None)
