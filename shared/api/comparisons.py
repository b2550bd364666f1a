"""Comparisons: found, read as numbers, exported; and as a gate for scripts."""

from collections.abc import Sequence
from typing import Any, Literal

from shared import comparisons as service
from shared import db, results, vote_tables
from shared.api.desk import Desk
from shared.api.things import ComparisonAnswer
from shared.comparisons import ComparisonTable

Form = Literal["csv", "md"]


class Comparisons(Desk):
    """Stored comparisons. Methods that name one raise UnknownComparison."""

    def list(self) -> Sequence[ComparisonAnswer]:
        """Stored comparisons, newest first."""
        with db.reading() as session:
            found = results.comparisons(session)
        return [
            ComparisonAnswer(
                name=each.name, job=each.job_id, baseline=each.baseline, user=each.user,
                created_at=each.created_at, url=self.link("compare", name=each.name),
            )
            for each in found
        ]  # fmt: skip

    def get(self, name: str, *, baseline: str = "") -> dict[str, Any]:
        """Every number, unrounded. Raises InvalidSpec for a baseline that is no arm."""
        return service.as_dict(self._table(name, baseline))

    def votes(self, name: str) -> dict[str, Any]:
        """Strengths and win rates by people's votes, and each judge's apart from them."""
        with db.reading() as session:
            return vote_tables.read(session, name).as_dict()

    def export(self, name: str, form: Form, *, baseline: str = "") -> bytes:
        """The table as CSV (with the mark that Excel needs) or Markdown, in UTF-8."""
        table = self._table(name, baseline)
        if form == "csv":
            return service.as_csv(table)
        return service.as_markdown(table, self.language).encode()

    def _table(self, name: str, baseline: str) -> ComparisonTable:
        with db.reading() as session:
            return service.build(session, name, baseline=baseline or None)
