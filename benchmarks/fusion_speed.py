"""Speed and error of the exact weighted sum beside PEFT's `add_weighted_adapter("svd")`.

`python -m benchmarks.fusion_speed [--size 1024] [--counts 2,4,8] [--json]`; both get the same
random adapters of rank 16 and give one of rank 16. Without options: 1024x1024, 4096x4096,
11008x4096 and a whole LLaMA-7B-shaped set. PEFT's dense SVD takes minutes on the largest shape, so
it runs once there, for two adapters; more adapters only make its sum of dense updates longer.
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
#: Rows and columns, by the size a person asks for.
SHAPES = {1024: (1024, 1024), 4096: (4096, 4096), 11008: (11008, 4096)}
#: PEFT's SVD of this shape takes minutes: one measurement, reused for more adapters.
SLOWEST = 11008


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


def compare(size: int, adapters: int, known: float | None = None) -> dict[str, Any]:
    """One row: PEFT once, ours the best of five, and both errors against the dense optimum.

    `known`: PEFT's seconds for this shape where they were measured before; it is not run again.
    """
    out, width = SHAPES[size]
    model = peft_model(out, width, adapters)
    names = [f"a{index}" for index in range(adapters)]
    weights = [1 / adapters] * adapters

    def peer() -> None:
        merge = cast(Any, model.base_model).add_weighted_adapter
        merge(names, weights, "merged", combination_type="svd", svd_rank=RANK)

    theirs_s = known or seconds(peer, 1)
    updates = canonical(model, adapters)
    sum_updates(updates, weights, RANK)
    ours_s = seconds(lambda: sum_updates(updates, weights, RANK), 5)
    ours = sum_updates(updates, weights, RANK).fused.factors.delta()
    dense = size == min(SHAPES)
    best = optimum(updates, weights, dense=dense)
    return {
        "module": f"{out}x{width}",
        "adapters": adapters,
        "PEFT s": theirs_s,
        "PEFT runs": "as for 2" if known else 1,
        "ours s": ours_s,
        "ratio": theirs_s / ours_s,
        "our error": _error(ours, best),
        "PEFT error": "-" if known else _error(_layer(model).get_delta_weight("merged"), best),
        "error against": "dense SVD, fp64" if dense else "Lanczos, fp64",
    }


def _error(found: Tensor, best: Tensor) -> float:
    return float((found.detach().double() - best).norm() / best.norm())


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


def rows_of(sizes: Sequence[int], counts: Sequence[int]) -> list[dict[str, Any]]:
    """Every size with every number of adapters."""
    rows: list[dict[str, Any]] = []
    for size in sizes:
        known: float | None = None
        for count in counts:
            rows.append({"size": size, **compare(size, count, known)})
            if size == SLOWEST:
                known = rows[-1]["PEFT s"]
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, choices=SHAPES, help="only this one, without the set")
    parser.add_argument("--counts", default="2,4,8", help="numbers of adapters (default: 2,4,8)")
    parser.add_argument("--json", action="store_true", help="rows as JSON")
    options = parser.parse_args()
    # More threads than one help PEFT's dense SVD a little and ours not at all; one is comparable.
    torch.set_num_threads(1)
    counts = [int(count) for count in options.counts.split(",")]
    rows = rows_of([options.size] if options.size else list(SHAPES), counts)
    show("exact weighted sum at rank 16", rows, as_json=options.json)
    ratios = {f"ratio_{row['size']}_k{row['adapters']}": row["ratio"] for row in rows}
    error = max(row["our error"] for row in rows)
    if options.size in (None, 1024):
        first = next(row for row in rows if row["size"] == 1024)
        small = max(row["our error"] for row in rows if row["size"] == 1024)
        result(ratio_1024=first["ratio"], rel_error=small)
    elif options.size:
        result(**ratios, rel_error=error)
    if not options.size:
        whole = whole_set(4)
        show("LLaMA-7B's 224 modules, 4 adapters of rank 16", [whole], as_json=options.json)
        large = {key: value for key, value in ratios.items() if "_1024_" not in key}
        result(**large, rel_error=error, set7b_s=whole["seconds"], set7b_mb=whole["peak MB"])


if __name__ == "__main__":
    main()
