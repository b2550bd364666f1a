"""Comparisons: a stored one becomes a table with intervals and verdicts, and its items pairs."""

from shared.comparisons.build import build
from shared.comparisons.model import Arm, Cell, Column, ComparisonTable, Conflict, NoOpArm
from shared.comparisons.pairs import Flip, ItemPair, counted, item_pairs, items_csv, questions
from shared.comparisons.render import as_csv, as_dict, as_json, as_markdown, as_text, study_blocks

__all__ = [
    "Arm", "Cell", "Column", "ComparisonTable", "Conflict", "Flip", "ItemPair", "NoOpArm",
    "as_csv", "as_dict", "as_json", "as_markdown", "as_text", "build", "counted", "item_pairs",
    "items_csv", "questions", "study_blocks",
]  # fmt: skip
