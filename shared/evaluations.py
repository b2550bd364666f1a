"""EvaluationResult: what arms scored on benchmarks, as files that need no torch to be read.

`evaluation.json` names the parts; each part's items lie in a JSON-lines file beside it.
"""

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from shared.metrics import Shape

RESULT = "evaluation.json"
#: Engine facts that must be equal for two evaluations to be compared.
COMPARABLE_FACTS = ("engine", "dtype", "template", "template_sha256", "max_new_tokens", "stop")


class ItemRow(BaseModel):
    """What one arm did on one item."""

    model_config = ConfigDict(frozen=True)

    item_id: str
    #: Pairs this row with other arms' (see `shared.benchmarks.BenchmarkItem.item_hash`).
    item_hash: str
    lang: str
    #: Items of one cluster (a passage) are one draw for the statistics.
    cluster: str | None = None
    #: By metric, see `shared.metrics.METRICS`; of a ratio metric, its two terms.
    values: dict[str, float]
    #: The chosen or generated text; empty for continuations.
    output: str = ""
    #: Versions of the knowledge base's samples that stood before the question, the nearest last.
    samples: list[str] = []


class EvaluationPart(BaseModel):
    """One arm on one benchmark."""

    model_config = ConfigDict(frozen=True)

    #: `base` or the adapter's name.
    arm: str
    benchmark: str
    benchmark_sha256: str
    shape: Shape
    items: list[ItemRow]
    #: {metric: {language or "all": score}}
    metrics: dict[str, dict[str, float]]
    #: How the numbers were made: dtype, template, versions, truncated items, seconds, tokens/s.
    engine: dict[str, Any]


class EvaluationResult(BaseModel):
    """All arms on all benchmarks of one evaluation, arm by arm within each benchmark."""

    model_config = ConfigDict(frozen=True)

    parts: list[EvaluationPart]


def items_file(arm: str, benchmark: str) -> str:
    """The file of a part's items; `+` cannot occur in a name, so no two parts share a file."""
    return f"items-{arm}+{benchmark}.jsonl"


def write_result(folder: Path, result: EvaluationResult) -> None:
    """Write all parts and then the file that names them."""
    folder.mkdir(parents=True, exist_ok=True)
    listed = []
    for part in result.parts:
        name = items_file(part.arm, part.benchmark)
        lines = "".join(item.model_dump_json() + "\n" for item in part.items)
        (folder / name).write_text(lines, encoding="utf-8")
        head = part.model_dump(mode="json", exclude={"items"})
        listed.append(head | {"n": len(part.items), "file": name})
    text = json.dumps({"parts": listed}, ensure_ascii=False, indent=1)
    (folder / RESULT).write_text(text, encoding="utf-8")


def read_result(folder: Path) -> EvaluationResult:
    """Read back what `write_result` wrote. Raises OSError or ValueError where it is damaged."""
    listed = json.loads((folder / RESULT).read_text(encoding="utf-8"))["parts"]
    return EvaluationResult(parts=[_part(folder, head) for head in listed])


def _part(folder: Path, head: dict[str, Any]) -> EvaluationPart:
    # Not splitlines(): an output may hold U+2028 and its like unescaped.
    lines = (folder / head["file"]).read_text(encoding="utf-8").split("\n")
    items = [ItemRow.model_validate_json(line) for line in lines if line]
    if len(items) != head["n"]:
        raise ValueError(f"{head['file']} has {len(items)} items, not {head['n']}")
    return EvaluationPart.model_validate(head | {"items": items})
