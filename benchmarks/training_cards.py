"""One training on one card, and on several: whole copies of the base, and its layers spread.

    python -m benchmarks.training_cards --device cuda --shape 7b --cards 2
    python -m benchmarks.training_cards --rows 8 --cards 2     (two processes on a CPU)

Random weights of the shape, saved and loaded as a job's; LoRA on every linear module; rows as long
as the shape's longest, as many for each card. Every run is a runner of its own, as on the pool.
Tokens a second are the median step's after three, over all cards; memory is the first card's,
processor seconds are of the whole run, its start too.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, LlamaConfig

from benchmarks.families.bases import tokenizer
from benchmarks.report import result, show
from benchmarks.training_shapes import SHAPES, Shape
from shared.orders import BaseFiles, DataFile, WorkOrder
from shared.specs import parse_spec
from shared.storage import file_sha256
from worker.runner import preload, run

WARM, STEPS = 3, 9
RUNS = {"one card": (1, "off"), "whole copies": (0, "off"), "layers spread": (0, "on")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--shape", default="23m", choices=tuple(SHAPES))
    parser.add_argument("--cards", type=int, default=2)
    parser.add_argument("--rows", type=int, default=0, help="of a step and card; 0: the shape's")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--run", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        sys.exit(_as_runner(*options.run))
    with tempfile.TemporaryDirectory() as there:
        rows = _measured(Path(there), options)
    show(f"LoRA training, {options.shape}, {options.device}", rows, as_json=options.json)
    alone, whole, spread = (row["tok/s"] for row in rows)
    result(scaling=whole / alone / options.cards, tok_s=whole, spread_tok_s=spread)


def _measured(folder: Path, options: argparse.Namespace) -> list[dict[str, Any]]:
    form = SHAPES[options.shape]
    form = replace(form, rows=options.rows or form.rows)
    base, rows = folder / "base", folder / "rows.jsonl"
    _save_base(base, form, options.device)
    line = json.dumps({"text": "graft " * form.longest})
    rows.write_text(f"{line}\n" * (form.rows * options.cards * (WARM + STEPS)), encoding="utf-8")
    found = []
    for name, (cards, spread) in RUNS.items():
        order = _order(folder / name.replace(" ", "-"), base, rows, form, cards or options.cards)
        spec = order.spec.model_copy(update={"spread": spread})
        found.append({"run": name, "cards": order.cards} | _one(order, spec, options.device))
    return found


def _save_base(folder: Path, form: Shape, device: str) -> None:
    torch.manual_seed(0)
    with torch.device(device):
        dtype = torch.bfloat16 if device == "cuda" else torch.float32
        model: Any = AutoModelForCausalLM.from_config(LlamaConfig(**form.config), dtype=dtype)
    model.save_pretrained(folder)
    tokenizer().save_pretrained(folder)


def _order(folder: Path, base: Path, rows: Path, form: Shape, cards: int) -> WorkOrder:
    spec = parse_spec(
        {
            "kind": "train", "name": "t", "base_model": "b", "dataset": "rows", "rank": 16,
            "max_length": form.longest, "batch_size": form.rows * cards,
            "micro_batch_size": form.rows, "max_steps": WARM + STEPS, "recompute": "off",
        }
    )  # fmt: skip
    return WorkOrder(
        job_id="j", epoch=1, spec=spec, folder=folder, cards=cards,
        base=BaseFiles(name="b", location=str(base), fingerprint="b"),
        dataset=DataFile(name="rows", path=rows, sha256=file_sha256(rows)),
    )  # fmt: skip


def _one(order: WorkOrder, spec: Any, device: str) -> dict[str, Any]:
    """Run an order in a process of its own, which has not used CUDA: it may have to fork."""
    order = order.model_copy(update={"spec": spec, "device": device})
    order.folder.mkdir()
    path, events = order.folder / "order.json", order.folder / "events.jsonl"
    path.write_text(order.model_dump_json(), encoding="utf-8")
    command = [sys.executable, "-m", "benchmarks.training_cards", "--run", str(path), str(events)]
    before = _processor_seconds()
    subprocess.run(command, check=False)
    spent = _processor_seconds() - before
    said = [json.loads(line) for line in events.read_text(encoding="utf-8").splitlines()]
    if said[-1]["type"] != "result":
        raise SystemExit(f"{order.folder.name} ended with {said[-1]}")
    steps = [event["values"] for event in said if event["type"] == "metrics"]
    return {
        "tok/s": statistics.median(step["tokens_per_s"] for step in steps[WARM:]),
        "processor s": spent,
        "peak GB": steps[-1].get("gpu_memory_mb", 0) * 2**20 / 1e9,
        "first loss": steps[0]["loss"],
        "last loss": steps[-1]["loss"],
    }


def _processor_seconds() -> float:
    """Of all processes that this one has started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _as_runner(order: str, events: str) -> int:
    preload()
    return run(order, os.open(events, os.O_WRONLY | os.O_CREAT | os.O_APPEND))


if __name__ == "__main__":
    main()
