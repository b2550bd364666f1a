"""Work orders for the engines, made by hand as a notebook would."""

import json
from pathlib import Path
from typing import Any

from shared.formats import Preference, asking
from shared.orders import BaseFiles, DataFile, WorkOrder
from shared.specs import TrainingSpec

_CAPITALS = {
    "France": "Paris", "Italy": "Rome", "Japan": "Tokyo", "Egypt": "Cairo", "Peru": "Lima",
    "中国": "北京", "英国": "伦敦", "德国": "柏林", "希腊": "雅典", "印度": "新德里",
}  # fmt: skip
#: Ten Alpaca rows in English and Chinese, one with an input.
ROWS = [
    {"instruction": f"Name the capital of {land}.", "input": "", "output": f"{city}."}
    if land.isascii()
    else {"instruction": "请说出首都。", "input": land, "output": f"{city}。"}
    for land, city in _CAPITALS.items()
]


def preferring(rows: list[dict[str, str]]) -> list[Preference]:
    """The rows' answers, each preferred to a refusal."""
    return [
        Preference(
            asking(row["instruction"], row["input"]).asked, row["output"], "None at all, sorry."
        )
        for row in rows
    ]


def base_files(folder: Path) -> BaseFiles:
    """A base folder as an order names it."""
    return BaseFiles(name=folder.name, location=str(folder), fingerprint=f"of {folder.name}")


def order_for(
    base: Path, folder: Path, *, rows: list[dict[str, str]] | int = 0, **parameters: Any
) -> WorkOrder:
    """An order to train on `rows` (a number takes that many of ROWS by the seed) in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    data = folder / "rows.json"
    content = ROWS if isinstance(rows, int) else rows
    data.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    taken = {"rows": rows} if isinstance(rows, int) else {}
    values = {"name": "mine", "base_model": base.name, "dataset": "rows", "rank": 4, **taken}
    return WorkOrder(
        job_id="job",
        epoch=1,
        spec=TrainingSpec.model_validate(values | parameters),
        base=base_files(base),
        dataset=DataFile(name="rows", path=data, sha256=""),
        folder=folder / "a1",
    )
