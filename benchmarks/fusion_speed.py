"""Speed and error of the exact weighted sum beside PEFT's `add_weighted_adapter("svd")`.

`python -m benchmarks.fusion_speed [--quick] [--large] [--set7b] [--json]`; both get the same random
adapters of rank 16 and give one of rank 16.
"""

import argparse
import multiprocessing
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from scipy.sparse.linalg import svds
from torch import Tensor, nn

from benchmarks.report import result, show
from benchmarks.set7b import measure, write_adapters
from worker.fusion.factors import Factors
from worker.fusion.weighted_sum import sum_updates

RANK = 16
SMALL = (1024, 1024)
LARGE = ((4096, 4096), (11008, 4096))


class Toy(nn.Module):
    """A model of one linear module, as small as PEFT accepts."""

    def __init__(self, out: int, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, out, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x)


def peft_model(out: int, width: int, adapters: int) -> PeftModel:
    """The toy with that many random adapters on it, both factors non-zero."""
    torch.manual_seed(0)
    config = LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules=["linear"])
    model = cast(PeftModel, get_peft_model(cast(Any, Toy(out, width)), config, "a0"))
    for index in range(1, adapters):
        model.add_adapter(f"a{index}", config)
    layer = _layer(model)
    with torch.no_grad():
        for index in range(adapters):
            layer.lora_A[f"a{index}"].weight.normal_(std=width**-0.5)
            layer.lora_B[f"a{index}"].weight.normal_(std=0.02)
    return model


def canonical(model: PeftModel, adapters: int) -> list[Factors]:
    """The same adapters as the engine reads them."""
    layer = _layer(model)
    names = [f"a{index}" for index in range(adapters)]
    return [
        Factors(
            layer.lora_B[name].weight.detach() * layer.scaling[name],
            layer.lora_A[name].weight.detach(),
        )
        for name in names
    ]


def _layer(model: PeftModel) -> Any:
    return cast(Any, model.base_model).model.linear


def seconds(work: Callable[[], object], repeats: int) -> float:
    """The fastest of several runs."""
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return best


def compare(out: int, width: int, adapters: int) -> dict[str, Any]:
    """One row: PEFT once, ours the best of five, and both errors against the dense optimum."""
    model = peft_model(out, width, adapters)
    names = [f"a{index}" for index in range(adapters)]
    weights = [1 / adapters] * adapters

    def peer() -> None:
        merge = cast(Any, model.base_model).add_weighted_adapter
        merge(names, weights, "merged", combination_type="svd", svd_rank=RANK)

    theirs_s = seconds(peer, 1)
    updates = canonical(model, adapters)
    sum_updates(updates, weights, RANK)
    ours_s = seconds(lambda: sum_updates(updates, weights, RANK), 5)
    ours = sum_updates(updates, weights, RANK).fused.factors.delta()
    theirs = _layer(model).get_delta_weight("merged").detach().double()
    dense = out * width <= SMALL[0] * SMALL[1]
    best = optimum(updates, weights, dense=dense)
    return {
        "module": f"{out}x{width}",
        "adapters": adapters,
        "PEFT s": theirs_s,
        "ours s": ours_s,
        "ratio": theirs_s / ours_s,
        "our error": float((ours - best).norm() / best.norm()),
        "PEFT error": float((theirs - best).norm() / best.norm()),
        "error against": "dense SVD, fp64" if dense else "Lanczos, fp64",
    }


def optimum(updates: Sequence[Factors], weights: Sequence[float], *, dense: bool) -> Tensor:
    """The best approximation of the dense sum (Eckart and Young 1936), in fp64.

    By a dense SVD, or where that takes minutes by Lanczos on the dense matrix.
    """
    total = sum(
        (weight * update.delta() for update, weight in zip(updates, weights, strict=True)),
        start=torch.zeros(updates[0].shape, dtype=torch.float64),
    )
    if dense:
        u, sigma, vh = torch.linalg.svd(total, full_matrices=False)
        return (u[:, :RANK] * sigma[:RANK]) @ vh[:RANK]
    left, values, right = svds(total.numpy(), k=RANK)
    return torch.from_numpy((left * values) @ right)


def whole_set(adapters: int) -> dict[str, Any]:
    """Fuse files of LLaMA-7B's 224 modules in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        write_adapters(Path(folder), adapters, RANK)
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            return pool.apply(measure, (Path(folder), adapters, RANK))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one pair of adapters, 1024x1024")
    parser.add_argument("--large", action="store_true", help="also 4096x4096 and 11008x4096")
    parser.add_argument("--set7b", action="store_true", help="also a whole LLaMA-7B adapter set")
    parser.add_argument("--json", action="store_true", help="rows as JSON")
    options = parser.parse_args()
    # More threads than one help PEFT's dense SVD a little and ours not at all; one is comparable.
    torch.set_num_threads(1)
    counts = (2,) if options.quick else (2, 4)
    cases = [(*SMALL, count) for count in counts]
    if options.large:
        cases += [(*LARGE[0], 2), (*LARGE[0], 4), (*LARGE[1], 2)]
    rows = [compare(*case) for case in cases]
    show("exact weighted sum at rank 16", rows, as_json=options.json)
    figures: dict[str, float] = {
        "ratio_1024": rows[0]["ratio"],
        "rel_error": max(row["our error"] for row in rows),
    }
    for row in rows[len(counts) :]:
        figures[f"ratio_{row['module'].split('x')[0]}_k{row['adapters']}"] = row["ratio"]
    if options.set7b:
        whole = whole_set(4)
        show("LLaMA-7B's 224 modules, 4 adapters of rank 16", [whole], as_json=options.json)
        figures |= {"set7b_s": whole["seconds"], "set7b_mb": whole["peak MB"]}
    result(**figures)


if __name__ == "__main__":
    main()
