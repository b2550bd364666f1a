"""Training speed: ours beside transformers' Trainer with PEFT, the same rows and the same work.

    python -m benchmarks.training_speed --cpu --models DIR --data DIR [--quick] [--json]
    python -m benchmarks.training_speed --device cuda --shape 7b

On a CPU: LoRA on every linear module of DIR/llama-23m, Alpaca rows of mixed lengths from
DIR/instruct/alpaca_en.json, 16 rows a step, one thread. Both sides see the same tokens with the
same labels; real tokens are counted, never padding, and seconds are the process's own, so that
another process on the machine does not count. On a GPU: random weights of LLaMA-7B's shape (or
`1b`, TinyLlama's) in bf16, full rows of 2048 tokens, every token trained. Each side runs in a
process of its own; where one does not fit into the card, all take half the rows. The peer needs
accelerate, which the `worker` extra already brings.
"""

import argparse
import json
import math
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.report import result, show

SIDES = ("peer", "ours")


def main() -> None:
    options = _options()
    if options.side:
        print(json.dumps(_measure(options)))
        return
    more: tuple[str, ...] = ()
    if options.shape:
        more = ("compiled",) * options.compile + ("fp8",) * options.fp8
    if not options.shape and options.grouped:
        more = ("grouped",)
    rows = _all_fitting((*SIDES, *more))
    peer = rows["peer"]["tok/s"]
    ours = max(rows[side]["tok/s"] for side in ("ours", "compiled") if side in rows)
    what = f"LoRA training, {options.shape or 'llama-23m, Alpaca rows'}, {options.device}"
    show(what, list(rows.values()), as_json=options.json)
    fp8 = {"fp8_tok_s": rows["fp8"]["tok/s"]} if "fp8" in rows else {}
    result(ratio=ours / peer, tok_s=ours, peer_tok_s=peer, **fp8)


def _all_fitting(sides: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Each side's line; where the card is too small for one, all sides take half the rows."""
    fewer = 1
    while True:
        rows = {}
        for side in sides:
            rows[side] = _in_own_process(side, fewer)
            if not rows[side]["tokens"] and fewer < 4:
                print(f"{rows[side]['side']} is out of memory; all sides take half the rows")
                break
        else:
            return rows
        fewer *= 2


def _measure(options: argparse.Namespace) -> dict[str, Any]:
    if options.shape:
        from benchmarks.training_shapes import measure

        try:
            return measure(options.side, options.shape, options.device, options.fewer)
        except torch.OutOfMemoryError:
            return {
                "side": options.side, "tokens": 0, "step ms": math.nan, "tok/s": math.nan,
                "peak GB": "out of memory", "until warm s": math.nan, "loss": math.nan,
            }  # fmt: skip
    from benchmarks.training_rows import measure_rows

    return measure_rows(options.side, options.models, options.data, 3 if options.quick else 8)


def _in_own_process(side: str, fewer: int) -> dict[str, Any]:
    own = ["--side", side, "--fewer", str(fewer)]
    command = [sys.executable, "-m", "benchmarks.training_speed", *sys.argv[1:], *own]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--cpu", dest="device", action="store_const", const="cpu")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--shape", default="", choices=["", "7b", "1b", "23m", "tiny"])
    parser.add_argument("--models", type=Path, default=Path("models"))
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--compile", action="store_true", help="ours with compiled layers too")
    parser.add_argument("--fp8", action="store_true", help="and with the base in FP8 (GPU)")
    parser.add_argument("--grouped", action="store_true", help="the peer grouping by length too")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--side", default="", help=argparse.SUPPRESS)
    parser.add_argument("--fewer", type=int, default=1, help=argparse.SUPPRESS)
    parser.set_defaults(device="cpu")
    return parser.parse_args()


if __name__ == "__main__":
    main()
