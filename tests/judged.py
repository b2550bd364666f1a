"""Evaluations over a few made rows on the tiny base, for tests: orders, adapters, rows."""

import json
from pathlib import Path
from typing import Any

import pytest

from shared.evaluations import EvaluationResult, ItemRow
from shared.orders import AdapterFiles, BaseFiles, DataFile, WorkOrder
from shared.specs import EvaluationSpec
from shared.storage import file_sha256
from tiny_bases import write_adapter

CHOICES = [
    {"id": f"q{n}", "prompt": f"Which is {n} + {n}?", "choices": [f" {2 * n}", " none of it", "7"],
     "answer": n % 2, "lang": "en"}
    for n in range(5)
] + [{"id": "z", "prompt": "天空是什么颜色？", "choices": ["蓝色", "红"], "answer": 0,
      "lang": "zh"}]  # fmt: skip
GENERATES = [
    {"id": "g1", "prompt": "Name the capital of France.", "references": ["Paris"], "lang": "en"},
    {"id": "g2", "prompt": "概括：河水流向大海。", "references": ["流向", "河水"], "lang": "zh",
     "group": "p"},
]  # fmt: skip
CONTINUATIONS = [
    {"id": "c1", "context": "The quick brown", "continuation": " fox jumps over.", "lang": "en"},
    {"id": "c2", "context": "敏捷的棕色狐", "continuation": "狸跳过懒狗。", "lang": "zh"},
    # Cut inside a word that is one token.
    {"id": "c3", "context": "Paris is sm", "continuation": "all and old.", "lang": "en"},
]
FILES = {"quiz": CHOICES, "tell": GENERATES, "text": CONTINUATIONS}


@pytest.fixture
def order(tmp_path: Path, tiny_llama: Path):
    """Makes a WorkOrder over FILES (or other rows), tiny_llama and adapters."""

    def make(
        files: dict[str, list[dict[str, Any]]] | None = None,
        adapters: dict[str, Path] | None = None,
        folder: str = "a1",
        base: Path = tiny_llama,
        resume_from: Path | None = None,
        halvings: int = 0,
        **spec: Any,
    ) -> WorkOrder:
        benchmarks = []
        for name, rows in (files or FILES).items():
            path = tmp_path / f"{name}.jsonl"
            path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
            benchmarks.append(DataFile(name=name, path=path, sha256=file_sha256(path)))
        resident = BaseFiles(name="tiny", location=str(base), fingerprint="f")
        return WorkOrder(
            job_id="j",
            epoch=1,
            spec=EvaluationSpec.model_validate(
                {
                    "name": "c", "base_model": "tiny", "adapters": list(adapters or {}),
                    "benchmarks": list(files or FILES), "max_new_tokens": 8,
                } | spec
            ),
            base=resident,
            adapters=[
                AdapterFiles(name=name, folder=path, base=resident)
                for name, path in (adapters or {}).items()
            ],
            benchmarks=benchmarks,
            folder=tmp_path / folder,
            resume_from=resume_from,
            halvings=halvings,
        )  # fmt: skip

    return make


@pytest.fixture(scope="module")
def adapters(tiny_llama: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two adapters of other ranks and modules; a name may hold dots."""
    root = tmp_path_factory.mktemp("adapters")
    return {
        "poet-v1.5": write_adapter(tiny_llama, root / "one", scale=0.3),
        "plain": write_adapter(tiny_llama, root / "two", rank=2, seed=1, targets=["v_proj"]),
    }


def rows_of(result: EvaluationResult, arm: str, benchmark: str) -> list[ItemRow]:
    [part] = [p for p in result.parts if (p.arm, p.benchmark) == (arm, benchmark)]
    return part.items
