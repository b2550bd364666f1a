"""One training in one process and in several: steps in seconds and in processor time, and losses.

`python -m benchmarks.training_cards [--device cuda] [--cards 2] [--steps 8] [--rounds 3]` — each
side in a process of its own, one after the other in each round; the shortest step of a side counts.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

from shared.orders import BaseFiles, DataFile, WorkOrder
from shared.specs import TrainingSpec
from worker.reporting import Silent

#: Of the base: 8 layers, 512 wide, 27 million numbers; on a GPU a quarter of LLaMA-7B's depth.
SHAPES: dict[str, dict[str, int]] = {
    "cpu": {"hidden_size": 512, "intermediate_size": 1376, "num_hidden_layers": 8},
    "cuda": {"hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 8},
}
ROWS, BATCH = 128, 16


class Timed(Silent):
    """A Report that writes when each step was done to a file, where another process reads it."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._file = path.open("a", buffering=1)

    def metrics(self, step: int, values: dict[str, float]) -> None:
        times = {"at": time.perf_counter(), "tokens_per_s": values["tokens_per_s"]}
        self._file.write(json.dumps(times | {"loss": values["loss"]}) + "\n")


def make(folder: Path, device: str) -> None:
    """A base of random numbers, and rows of 20 to 400 bytes."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from benchmarks.families.bases import SHAPE, tokenizer

    torch.manual_seed(0)
    heads = {"num_attention_heads": 8, "num_key_value_heads": 8, "head_dim": 64}
    if device == "cuda":
        heads = {"num_attention_heads": 32, "num_key_value_heads": 32, "head_dim": 128}
    shape: dict[str, Any] = SHAPE | SHAPES[device] | heads
    model: Any = LlamaForCausalLM(LlamaConfig(**shape))
    model.to(torch.bfloat16 if device == "cuda" else torch.float32).save_pretrained(folder / "base")
    tokenizer("<s> $A").save_pretrained(folder / "base")
    draw = random.Random(0)
    rows = [{"instruction": "Go on.", "output": "ab " * draw.randint(7, 133)} for _ in range(ROWS)]
    (folder / "rows.json").write_text(json.dumps(rows))


def side(folder: Path, device: str, cards: int, spread: str, steps: int) -> None:
    """Train in this process, as a runner does; print what it took."""
    import torch

    from worker.training import train

    torch.set_num_threads(cards)
    values = {"name": "a", "base_model": "b", "dataset": "rows", "rank": 16, "batch_size": BATCH}
    spec = TrainingSpec.model_validate(values | {"max_steps": steps, "spread": spread})
    with tempfile.TemporaryDirectory() as own:
        order = WorkOrder(
            job_id="j", epoch=1, spec=spec, folder=Path(own), device=device, cards=cards,
            base=BaseFiles(name="b", location=str(folder / "base"), fingerprint="b"),
            dataset=DataFile(name="rows", path=folder / "rows.json", sha256=""),
        )  # fmt: skip
        path = Path(own) / "steps.jsonl"
        train(order, Timed(path))
        found = [json.loads(line) for line in path.read_text().splitlines()]
    spent = os.times()
    processor = sum(spent[:4])
    between = [after["at"] - before["at"] for before, after in pairwise(found)]
    best = max(each["tokens_per_s"] for each in found[1:])
    print(json.dumps({"step": min(between), "processor": processor, "tok/s": best,
                      "loss": found[-1]["loss"]}))  # fmt: skip


def main() -> None:
    """Print a row for each side."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="cpu", choices=list(SHAPES))
    parser.add_argument("--cards", type=int, default=2)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--side", nargs=3, metavar=("FOLDER", "CARDS", "SPREAD"))
    asked = parser.parse_args()
    if asked.side:
        side(Path(asked.side[0]), asked.device, int(asked.side[1]), asked.side[2], asked.steps)
        return
    sides = {"one": (1, "auto"), "whole": (asked.cards, "off"), "spread": (asked.cards, "on")}
    found: dict[str, list[dict[str, float]]] = {name: [] for name in sides}
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder), asked.device)
        for _ in range(asked.rounds):
            for name, (cards, spread) in sides.items():
                words = ["--device", asked.device, "--steps", str(asked.steps)]
                done = subprocess.run(
                    [sys.executable, "-m", "benchmarks.training_cards", *words,
                     "--side", folder, str(cards), spread],
                    stdout=subprocess.PIPE, check=True, text=True,
                )  # fmt: skip
                found[name].append(json.loads(done.stdout.splitlines()[-1]))
    print(
        "| side | cards | step, ms | tok/s | processor, s | last loss |\n|---|---|---|---|---|---|"
    )
    for name, (cards, _) in sides.items():
        runs = found[name]
        step, spent = (min(run[key] for run in runs) for key in ("step", "processor"))
        best = max(run["tok/s"] for run in runs)
        row = (name, cards, f"{step * 1000:.0f}", f"{best:,.0f}", f"{spent:.1f}", runs[0]["loss"])
        print("| " + " | ".join(map(str, row)) + " |")


if __name__ == "__main__":
    main()
