"""Items as token ids: the template, what a base wants around a prompt, and what it can read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from shared.benchmarks import BenchmarkItem
from shared.errors import BadData, both
from shared.formats import Conversation, Turn
from shared.retrieval import Sample
from shared.templates import pieces
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
    #: Samples that go before a prompt, the nearest last; and most tokens they may take.
    examples: Mapping[str, Sequence[Sample]] = field(default_factory=dict)
    example_tokens: int = 0
    truncated: int = field(default=0, init=False)
    #: Versions of the samples that fitted, by prompt.
    shown: dict[str, list[str]] = field(default_factory=dict, init=False)

    def prompt(self, text: str, lang: str, room: int) -> list[int]:
        """An instruction in its template after its samples, leaving `room` tokens; its beginning
        is cut if need be.

        Cut at the beginning, because the template's end is what asks for the answer.
        """
        examples = list(self.examples.get(text, ()))
        plain = self._asked(text, lang, ())
        ids = self._asked(text, lang, examples) if examples else plain
        most = len(plain) + self.example_tokens
        if self.limit is not None:
            most = min(most, self.limit - room - self.frame.size)
        while examples and len(ids) > most:
            # Whole samples go, the least similar first: half a sample is a wrong one.
            del examples[0]
            ids = self._asked(text, lang, examples)
        if examples:
            self.shown[text] = [each.version for each in examples]
        return self._fitted(ids, room)

    def verbatim(self, text: str, room: int) -> list[int]:
        """A text as it stands, in the base's frame, leaving `room` tokens; its beginning is cut
        if need be."""
        return self._fitted(self.ids(text), room)

    def joined(self, text: str, endings: Sequence[str]) -> tuple[list[int], list[list[int]]]:
        """Ids of a text, and of each ending, when both are turned into tokens as one text.

        The ids of an ending are those beyond as many as the text alone has; spaces at the text's
        end belong to the endings. So lm-eval does it. Raises BadData for an ending without any.
        """
        start = text.rstrip()
        between = text[len(start) :]
        ids = self.ids(start)
        after = [self.ids(start + between + ending)[len(ids) :] for ending in endings]
        if not all(after):
            problem = both(
                f"no token of “{endings[after.index([])]}” is its own after “{start[-20:]}”",
                f"“{start[-20:]}”之后，“{endings[after.index([])]}”没有自己的词元",
            )
            raise BadData(file=self.benchmark, problem=problem)
        return self._fitted(ids, max(map(len, after))), after

    def _fitted(self, ids: list[int], room: int) -> list[int]:
        fitted, cut = self.fit(ids, room)
        self.truncated += cut
        return fitted

    def shown_before(self, item: BenchmarkItem) -> list[str]:
        """Versions of the samples that stood before an item."""
        return self.shown.get(getattr(item, "prompt", ""), [])

    def _asked(self, text: str, lang: str, examples: Sequence[Sample]) -> list[int]:
        """Samples as earlier turns of a conversation, then the question, in the template."""
        turns: list[Turn] = []
        for each in examples:
            turns += [Turn("user", each.instruction, each.input), Turn("assistant", each.output)]
        return self.conversation([*turns, Turn("user", text)], lang)

    def conversation(self, turns: Sequence[Turn], lang: str) -> list[int]:
        """Ids of turns in the template, the last of them a question; not framed, not cut."""
        ids: list[int] = []
        for piece in pieces(self.template, Conversation(tuple(turns)), lang=lang):
            ids += self.ids(piece.text)
            if piece.ends and self.tokenizer.eos_token_id is not None:
                ids.append(self.tokenizer.eos_token_id)
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


def reading_limit(model: Any, ahead: int = 0) -> int | None:
    """How many tokens the base can read after `ahead` of a prefix, by its config; None where it
    names no limit."""
    limit = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    return None if limit is None else limit - ahead
