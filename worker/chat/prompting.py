"""A question after an arm's own conversation and its samples, as ids the base can read."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from shared.formats import Turn
from shared.retrieval import Sample
from worker.evaluation.reading import Reader


@dataclass
class Speaker:
    """One arm: who answers, in which template, and what was said between it and the person."""

    name: str
    #: The base, or the adapter that answers.
    model: str
    reader: Reader
    #: Whether samples of the knowledge base go before its questions.
    retrieves: bool
    said: list[tuple[str, str]] = field(default_factory=list)

    def prompt(
        self, question: str, lang: str, samples: Sequence[Sample]
    ) -> tuple[list[int], list[str]]:
        """Ids to continue, and the versions of the samples that are in them, the nearest last.

        What does not fit goes whole: the oldest exchanges first, then the least similar samples;
        of a question that alone is too long, its beginning is cut.
        """
        said, shown = list(self.said), list(samples)
        room = self.reader.max_new_tokens
        ids = self._ids(question, lang, said, shown)
        while (said or shown) and not self._fits(ids, room):
            del (said or shown)[0]
            ids = self._ids(question, lang, said, shown)
        return self.reader.fit(ids, room)[0], [each.version for each in shown]

    def _fits(self, ids: list[int], room: int) -> bool:
        limit = self.reader.limit
        return limit is None or len(ids) + self.reader.frame.size + room <= limit

    def _ids(
        self, question: str, lang: str, said: list[tuple[str, str]], shown: list[Sample]
    ) -> list[int]:
        turns: list[Turn] = []
        for each in shown:
            turns += [Turn("user", each.instruction, each.input), Turn("assistant", each.output)]
        for asked, answer in said:
            turns += [Turn("user", asked), Turn("assistant", answer)]
        return self.reader.conversation([*turns, Turn("user", question)], lang)
