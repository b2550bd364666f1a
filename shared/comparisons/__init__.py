"""Comparisons: a stored one becomes a table with intervals and verdicts, and its items pairs."""

from shared.comparisons import summary
from shared.comparisons.build import build
from shared.comparisons.ceilings import Recovered, ceilings, recoveries
from shared.comparisons.duels import Duel
from shared.comparisons.model import Arm, Cell, Column, ComparisonTable, Conflict, NoOpArm
from shared.comparisons.origins import Making, ancestry, differing, made_by, makings
from shared.comparisons.pairs import Flip, ItemPair, counted, item_pairs, items_csv, questions
from shared.comparisons.render import (
    as_csv,
    as_dict,
    as_json,
    as_markdown,
    as_text,
    escaped,
    study_blocks,
)

__all__ = [
    "Arm", "Cell", "Column", "ComparisonTable", "Conflict", "Duel", "Flip", "ItemPair", "Making",
    "NoOpArm", "Recovered", "ancestry", "as_csv", "as_dict", "as_json", "as_markdown", "as_text",
    "build", "ceilings", "counted", "differing", "escaped", "item_pairs", "items_csv", "made_by",
    "makings", "questions", "recoveries", "study_blocks", "summary",
]  # fmt: skip
