"""The main job on real small models and data: `python -m infra.local.real --models DIR --data DIR`.

The models are two pre-trained bases of different family and tokenizer; the data is Alpaca's in
English and Chinese, and benchmark files of three skills in both languages.
"""

import json
import random
import sys
import tempfile
from pathlib import Path
from typing import Any

import click

from infra.local.stage import a_pool, perform, report
from infra.local.story import Cast
from infra.local.up import ends_on_signals, note
from shared import base_models, datasets, db, schema
from shared.alpaca import Row
from shared.cli.failures import INTERRUPTED
from shared.errors import GraftError
from shared.json_rows import read_values
from shared.language import language, say
from shared.people.actors import local_actor

DONOR, HOST = "llama-23m", "glm-12m"
#: Each benchmark's English and Chinese file; both go into one, in turn.
BENCHMARKS = {
    "sentiment": ("understanding/sst2_en.jsonl", "understanding/eprstmt_zh.jsonl"),
    "summaries": ("summarisation/dialogsum_en.jsonl", "summarisation/csl_zh.jsonl"),
    "technology": ("continuation/tech_en.jsonl", "continuation/tech_zh.jsonl"),
}
#: Characters of a row; longer ones would mostly be cut, and cost most of the time.
LONGEST = 600
SEED = 0
LIMIT_SECONDS = 3 * 3600.0


@click.command()
@click.option("--models", type=click.Path(path_type=Path), default=Path("../shared/models"))
@click.option("--data", type=click.Path(path_type=Path), default=Path("../shared/data"))
@click.option("--rows", type=click.IntRange(20), default=2000, help="Half of each language.")
@click.option("--items", type=click.IntRange(1), default=60, help="Of each language.")
def main(models: Path, data: Path, rows: int, items: int) -> None:
    """Register models and data, play the story in a pool, print the comparisons."""
    ends_on_signals()
    try:
        schema.upgrade()
        cast = enter(models, data, rows, items)
        with a_pool() as pool:
            played = perform(cast, "real", pool, LIMIT_SECONDS)
        sys.exit(report(played, native_must_win=False))
    except KeyboardInterrupt:
        note(say("Interrupted.", "已中断。"))
        sys.exit(INTERRUPTED)
    except GraftError as wrong:
        note(f"graft real: {wrong.message(language())}")
        sys.exit(wrong.exit_code)


def enter(models: Path, data: Path, rows: int, items: int) -> Cast:
    """Register both bases, the training files drawn from Alpaca's two, and the benchmarks.

    The donors get half of the rows each and the native one all of them, so that what the fused
    donor and the native adapter were taught is the same. Raises BadBase or FileMissing where a
    folder is not what it should be.
    """
    english, chinese, prompts = draw(
        usable(data / "instruct" / "alpaca_en.json"),
        usable(data / "instruct" / "alpaca_zh.json"),
        rows // 2,
    )
    files: dict[str, list[Any]] = {
        f"alpaca-en-{rows // 2}": english,
        f"alpaca-zh-{rows // 2}": chinese,
        f"alpaca-both-{rows}": english + chinese,
        f"alpaca-prompts-{rows // 2}": prompts,
    }
    actor = local_actor()
    with tempfile.TemporaryDirectory() as folder, db.writing() as session:
        for base in (DONOR, HOST):
            base_models.register(session, base, str(models / base), actor=actor)
        for name, drawn in files.items():
            path = _write(Path(folder) / f"{name}.jsonl", drawn)
            datasets.register(session, name, path, "training", actor=actor)
        for skill, pair in BENCHMARKS.items():
            both = in_turn(*([value for _, value in read_values(data / file)] for file in pair))
            path = _write(Path(folder) / f"{skill}.jsonl", both)
            datasets.register(session, skill, path, "benchmark", actor=actor)
    for_english, for_chinese, for_both, asked = files
    return Cast(
        donor_base=DONOR, host_base=HOST,
        english=for_english, chinese=for_chinese, both=for_both, prompts=asked,
        benchmarks=list(BENCHMARKS),
        training={"rank": 16, "alpha": 32, "epochs": 1, "learning_rate": 1e-3, "max_length": 256,
                  "batch_size": 16},
        fusion={"weights": [0.5, 0.5]},
        refresh={"max_new_tokens": 96},
        evaluation={"limit": 2 * items, "max_new_tokens": 48},
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
    """`rows` of each language for the donors, and as many others of both to ask; seeded.

    The Chinese file translates rows of the English one, so a prompt in one language may have been
    taught in the other; benchmarks come from other sources altogether.
    """
    drawn = []
    for language_rows in (english, chinese):
        short = [row for row in language_rows if sum(map(len, row.values())) <= LONGEST]
        drawn.append(random.Random(SEED).sample(short, min(len(short), rows + rows // 2)))
    prompts = [row for part in drawn for row in part[rows:]]
    return drawn[0][:rows], drawn[1][:rows], prompts


def in_turn(first: list[Any], second: list[Any]) -> list[Any]:
    """One of each list in turn, as far as the shorter one goes: any head is half and half."""
    return [value for pair in zip(first, second, strict=False) for value in pair]


def _write(path: Path, rows: list[Any]) -> Path:
    path.write_text(
        "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8"
    )
    return path


if __name__ == "__main__":
    main()
