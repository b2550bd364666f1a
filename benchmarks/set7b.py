"""A LLaMA-7B-shaped set of adapters in files, and the fusion of it timed and weighed."""

import json
import time
from pathlib import Path
from typing import Any

import torch

from shared.orders import AdapterFiles, BaseFiles, WorkOrder
from shared.specs import FusionSpec, WeightedSum
from worker.fusion.factors import Factors
from worker.fusion.peft_folder import PeftFolder
from worker.fusion.weighted_sum import weighted_sum
from worker.reporting import Silent

LAYERS, HIDDEN, INTERMEDIATE = 32, 4096, 11008
PROJECTIONS = {
    **{f"self_attn.{name}_proj": (HIDDEN, HIDDEN) for name in "qkvo"},
    "mlp.gate_proj": (INTERMEDIATE, HIDDEN),
    "mlp.up_proj": (INTERMEDIATE, HIDDEN),
    "mlp.down_proj": (HIDDEN, INTERMEDIATE),
}
BASE = BaseFiles(name="llama-7b-shaped", location="llama-7b-shaped", fingerprint="none")


def write_adapters(folder: Path, count: int, rank: int) -> None:
    """Random adapters `folder/a0`, `folder/a1`, ... of every linear module of LLaMA-7B, fp32."""
    modules = {
        f"model.layers.{layer}.{name}": shape
        for layer in range(LAYERS)
        for name, shape in PROJECTIONS.items()
    }
    for index in range(count):
        generator = torch.Generator().manual_seed(index)
        with PeftFolder(folder / f"a{index}", modules, BASE.name) as adapter:
            for module, (out, width) in modules.items():
                b = torch.randn(out, rank, generator=generator)
                a = torch.randn(rank, width, generator=generator)
                adapter.add(module, Factors(b * 0.02, a * width**-0.5))


def measure(folder: Path, count: int, rank: int) -> dict[str, Any]:
    """Fuse the set on one core: seconds, peak memory of this process and what it began with."""
    torch.set_num_threads(1)
    names = [f"a{index}" for index in range(count)]
    params = WeightedSum(rank=rank)
    order = WorkOrder(
        job_id="benchmark", epoch=0, base=BASE, folder=folder,
        spec=FusionSpec(name="fused", adapters=names, params=params),
        adapters=[AdapterFiles(name=name, folder=folder / name, base=BASE) for name in names],
    )  # fmt: skip
    before = _resident("VmRSS")
    start = time.perf_counter()
    made = weighted_sum(order, params, Silent())
    elapsed = time.perf_counter() - start
    config = json.loads((made.folder / "adapter_config.json").read_text())
    return {
        "modules": len(config["target_modules"]),
        "rank": made.rank,
        "seconds": elapsed,
        "peak MB": _resident("VmHWM"),
        "MB before": before,
    }


def _resident(field: str) -> float:
    """A memory figure of this process in MB, from Linux's own account of it."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) / 1024
    raise ValueError(f"no {field} in /proc/self/status")
