"""A comparison: every number, its verdicts, its files, and whether anything got worse."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from graft.client import Client


@dataclass(frozen=True)
class Judged:
    """An arm on one benchmark, against the baseline; None where nothing can be compared."""

    arm: str
    #: BENCHMARK/METRIC/LANGUAGE, as in the table's columns.
    key: str
    benchmark: str
    metric: str
    language: str
    score: float | None
    difference: float | None
    #: The 95 % interval of the difference.
    low: float | None
    high: float | None
    #: better, worse, within_margin, undetermined or too_few.
    verdict: str | None


class Comparison:
    """Arms side by side, paired item by item against a baseline."""

    def __init__(self, client: "Client", name: str, baseline: str = "") -> None:
        self._client = client
        self._asked = baseline
        #: Every number, as `graft compare NAME --json` prints it.
        self.table: dict[str, Any] = client.pool.comparisons.get(name, baseline=baseline)

    name = property(lambda self: self.table["name"], doc="Its name.")
    baseline = property(lambda self: self.table["baseline"], doc="What the others are compared to.")

    def __repr__(self) -> str:
        return f"<Comparison {self.name!r} against {self.baseline!r}>"

    def against(self, baseline: str) -> "Comparison":
        """The same items with another arm as the baseline."""
        return Comparison(self._client, self.name, baseline)

    def rows(self) -> list[Judged]:
        """An entry for each arm on each benchmark and language."""
        columns = {column["key"]: column for column in self.table["columns"]}
        return [
            _judged(arm["name"], columns[key], cell)
            for arm in self.table["arms"]
            for key, cell in arm["cells"].items()
        ]

    def worse(self, margin: float = 0.0) -> list[Judged]:
        """Arms that were shown to be worse, by more than `margin` in the metric's unit."""
        primary = {column["key"]: column for column in self.table["columns"] if column["primary"]}
        found = []
        for row in self.rows():
            if row.key not in primary or row.verdict != "worse":
                continue
            at_best = row.high if primary[row.key]["higher_is_better"] else row.low
            if abs(at_best or 0.0) > margin:
                found.append(row)
        return found

    def votes(self) -> dict[str, Any]:
        """Win rates with intervals as they stand now: `people`, and each of the `judges`, with how
        often it contradicts itself and agrees with people."""
        return self._client.pool.comparisons.votes(self.name)

    def to_csv(self, file: Path | str) -> None:
        """Write the table for a spreadsheet."""
        written = self._client.pool.comparisons.export(self.name, "csv", baseline=self._asked)
        Path(file).write_bytes(written)

    def to_markdown(self) -> str:
        """The table in Markdown, in the client's language."""
        written = self._client.pool.comparisons.export(self.name, "md", baseline=self._asked)
        return written.decode()


def _judged(arm: str, column: dict[str, Any], cell: dict[str, Any]) -> Judged:
    against = cell["difference"] or {}
    return Judged(
        arm=arm, key=column["key"], benchmark=column["benchmark"], metric=column["metric"],
        language=column["language"], score=cell["value"], difference=against.get("value"),
        low=against.get("low"), high=against.get("high"), verdict=against.get("verdict"),
    )  # fmt: skip
