"""Wrong rows of a file, gathered into one error that lists them."""

from pathlib import Path

from shared.errors import BadRows, Both, Language, NotJson, both, spoken
from shared.formats.values import Broken

#: How many wrong rows a message lists.
LISTED = 20
#: How many its `each` holds, as [number, what is wrong], for a page to show as a table.
TABLED = 500


class Wrong:
    """What is wrong in which rows; however many there are, only the first are kept."""

    def __init__(self, path: Path) -> None:
        self._file = path.name
        self._each: list[tuple[int, Both]] = []
        self._torn: Broken | None = None
        #: All wrong rows.
        self.count = 0

    def add(self, number: int, problem: Both | Broken | str) -> None:
        """Note a row, in the file's order."""
        words = both(problem, problem) if isinstance(problem, str) else problem
        if isinstance(words, Broken):
            self._torn = words
            words = words.words
        self.count += 1
        if len(self._each) < TABLED:
            self._each.append((number, words))

    def error(self, rows: int) -> BadRows | NotJson:
        """The error that lists them, out of so many rows."""
        first, problem = self._each[0]
        if self.count == 1 and self._torn and self._torn.json:
            return NotJson(file=self._file, line=first, problem=self._torn.problem)
        return BadRows(
            file=self._file, count=self.count, rows=rows, first=first, problem=problem,
            listed=both(self._listed("en"), self._listed("zh")),
            each=[[number, words] for number, words in self._each],
        )  # fmt: skip

    def _listed(self, language: Language) -> str:
        shown = [f"{number} ({spoken(words, language)})" for number, words in self._each[:LISTED]]
        more = f", … (+{self.count - LISTED})" if self.count > LISTED else ""
        return ", ".join(shown) + more
