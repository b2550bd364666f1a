"""The main job on real small models and data: `python -m infra.local.real --models DIR --data DIR`.

The models are two pre-trained bases of different family and tokenizer; the data is Alpaca's in
English and Chinese, and benchmark files of three skills in both languages.
"""

import json
import random
import sys
import tempfile
from pathlib import Path

import click

from infra.local.stage import a_pool, perform, report
from infra.local.story import Cast
from infra.local.up import ends_on_signals, note
from shared import base_models, datasets, db, schema
from shared.alpaca import Row
from shared.cli.failures import INTERRUPTED
from shared.cli.session import whoami
from shared.errors import GraftError
from shared.json_rows import read_values
from shared.language import language, say

DONOR, HOST = "llama-23m", "glm-12m"
BENCHMARKS = {
    "sst2_en": "understanding/sst2_en.jsonl",
    "eprstmt_zh": "understanding/eprstmt_zh.jsonl",
    "dialogsum_en": "summarisation/dialogsum_en.jsonl",
    "csl_zh": "summarisation/csl_zh.jsonl",
    "tech_en": "continuation/tech_en.jsonl",
    "tech_zh": "continuation/tech_zh.jsonl",
}
#: Longer rows would mostly be cut, and cost most of the time.
LONGEST = 600
SEED = 0
LIMIT_SECONDS = 3600.0


@click.command()
@click.option("--models", type=click.Path(path_type=Path), default=Path("../shared/models"))
@click.option("--data", type=click.Path(path_type=Path), default=Path("../shared/data"))
@click.option("--rows", type=click.IntRange(10), default=2000, help="Rows of each language.")
@click.option("--items", type=click.IntRange(1), default=200, help="Items of each benchmark.")
def main(models: Path, data: Path, rows: int, items: int) -> None:
    """Register models and data, play the story in a pool, print the comparisons."""
    ends_on_signals()
    try:
        schema.upgrade()
        cast = enter(models, data, rows, items)
        with a_pool() as pool:
            sys.exit(report(perform(cast, "real", pool, LIMIT_SECONDS)))
    except KeyboardInterrupt:
        note(say("Interrupted.", "已中断。"))
        sys.exit(INTERRUPTED)
    except GraftError as wrong:
        note(f"graft real: {wrong.message(language())}")
        sys.exit(wrong.exit_code)


def enter(models: Path, data: Path, rows: int, items: int) -> Cast:
    """Register both bases, three training files drawn from Alpaca's two, and the benchmarks.

    Raises BadBase or FileMissing where a folder is not what it should be.
    """
    english, chinese, prompts = draw(
        usable(data / "instruct" / "alpaca_en.json"),
        usable(data / "instruct" / "alpaca_zh.json"),
        rows,
    )
    files = {
        f"alpaca-en-{rows}": english,
        f"alpaca-zh-{rows}": chinese,
        f"alpaca-both-{rows}": english[: rows // 2] + chinese[: rows // 2],
        f"alpaca-prompts-{rows}": prompts,
    }
    user = whoami()
    with tempfile.TemporaryDirectory() as folder, db.writing() as session:
        for base in (DONOR, HOST):
            base_models.register(session, base, str(models / base), actor=user)
        for name, drawn in files.items():
            path = Path(folder) / f"{name}.jsonl"
            path.write_text(_lines(drawn), encoding="utf-8")
            datasets.register(session, name, path, "training", actor=user)
        for name, file in BENCHMARKS.items():
            datasets.register(session, name, data / file, "benchmark", actor=user)
    english_file, chinese_file, both, asked = files
    return Cast(
        donor_base=DONOR, host_base=HOST,
        english=english_file, chinese=chinese_file, both=both, prompts=asked,
        benchmarks=list(BENCHMARKS),
        training={"rank": 16, "alpha": 32, "epochs": 1, "learning_rate": 1e-3, "max_length": 256,
                  "batch_size": 16},
        fusion={"weights": [0.5, 0.5]},
        refresh={"max_new_tokens": 96, "rows": rows},
        evaluation={"limit": items, "max_new_tokens": 48},
    )  # fmt: skip


def usable(file: Path) -> list[Row]:
    """The rows of an Alpaca file that can be trained on; says how many cannot.

    The published file has rows without an answer, which a dataset of Graft may not have.
    """
    values = [value for _, value in read_values(file)]
    rows = [
        {key: str(value.get(key) or "") for key in ("instruction", "input", "output")}
        for value in values
        if isinstance(value, dict)
    ]
    rows = [row for row in rows if row["instruction"].strip() and row["output"].strip()]
    dropped = len(values) - len(rows)
    note(say(f"{file.name}: {len(rows)} rows, {dropped} without an answer left out",
             f"{file.name}：{len(rows)} 行，略去 {dropped} 行无回答的"))  # fmt: skip
    return rows


def draw(english: list[Row], chinese: list[Row], rows: int) -> tuple[list[Row], ...]:
    """Rows of each language for the donors, and other rows to ask in the transfer; seeded.

    The Chinese file translates rows of the English one, so the halves are disjoint by draw only
    within a language; benchmarks come from other sources altogether.
    """
    drawn = []
    for language_rows in (english, chinese):
        short = [row for row in language_rows if sum(map(len, row.values())) <= LONGEST]
        drawn.append(random.Random(SEED).sample(short, min(len(short), rows + rows // 2)))
    prompts = [row for part in drawn for row in part[rows:]]
    return drawn[0][:rows], drawn[1][:rows], prompts


def _lines(rows: list[Row]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


if __name__ == "__main__":
    main()
