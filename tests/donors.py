"""Adapters written from bare factors, and fusions of them read back as dense updates."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from fusions import fusion_order
from worker.fusion import fuse
from worker.fusion.canonical import CONFIG, WEIGHTS, CanonicalAdapter
from worker.fusion.factors import Factors
from worker.fusion.peft_folder import PeftFolder
from worker.reporting import AdapterResult, Silent

Donor = dict[str, Factors]
Dense = dict[str, Tensor]
#: Questions with answers in both languages, for donors that are taught by heart.
CAPITALS = [
    {"instruction": "Name the capital.", "input": "", "output": "Paris, the river fox."},
    {"instruction": "请说出首都。", "input": "", "output": "巴黎。"},
]

#: Modules of the tiny LLaMA, (out, in).
SHAPES = {
    "model.layers.0.self_attn.q_proj": (64, 64),
    "model.layers.0.self_attn.k_proj": (32, 64),
    "model.layers.1.mlp.down_proj": (64, 160),
}


def random_donor(seed: int, rank: int, *, modules: Mapping[str, tuple[int, int]] = SHAPES) -> Donor:
    """Random factors of that rank for each module; all donors have a part in common."""
    common = torch.Generator().manual_seed(99)
    own = torch.Generator().manual_seed(seed)
    made: Donor = {}
    for module, (out, width) in SHAPES.items():
        shared = torch.randn(out, 1, generator=common), torch.randn(1, width, generator=common)
        b = torch.randn(out, rank - 1, generator=own)
        a = torch.randn(rank - 1, width, generator=own)
        if module in modules:
            made[module] = Factors(
                0.1 * torch.cat([shared[0], b], dim=1), 0.1 * torch.cat([shared[1], a])
            )
    return made


def write_donors(donors: Mapping[str, Donor], folder: Path) -> dict[str, Path]:
    """A PEFT folder for each donor."""
    for name, updates in donors.items():
        with PeftFolder(folder / name, updates, "base") as adapter:
            for module, factors in updates.items():
                adapter.add(module, factors)
    return {name: folder / name for name in donors}


def run(
    params: Mapping[str, Any], donors: Mapping[str, Donor], folder: Path, **more: Any
) -> AdapterResult:
    """The fusion of the donors by the engine."""
    paths = write_donors(donors, folder / "donors")
    base = more.pop("base", folder / "no-base")
    return fuse(fusion_order(params, paths, base, folder / "job", **more), Silent())


def fused(params: Mapping[str, Any], donors: Mapping[str, Donor], folder: Path) -> Dense:
    """The dense updates of the fusion, fp64, as its files hold them."""
    return read(run(params, donors, folder).folder)


def read(folder: Path) -> Dense:
    """The dense updates of an adapter folder."""
    adapter = CanonicalAdapter("fused", folder)
    return {module: adapter.factors(module).delta() for module in adapter.modules}


def gauged(donor: Donor, seed: int) -> Donor:
    """The same updates by other factors: (B·R⁻¹, R·A) with a random invertible R."""
    generator = torch.Generator().manual_seed(seed)
    made: Donor = {}
    for module, factors in donor.items():
        r = torch.randn(factors.rank, factors.rank, generator=generator, dtype=torch.float64)
        r += 3 * torch.eye(factors.rank, dtype=torch.float64)
        b = factors.b.double() @ torch.linalg.inv(r)
        made[module] = Factors(b.float(), (r @ factors.a.double()).float())
    return made


def gauged_folder(folder: Path, target: Path, seed: int = 0) -> Path:
    """An adapter folder of the same updates by other factors."""
    target.mkdir()
    (target / CONFIG).write_bytes((folder / CONFIG).read_bytes())
    held = load_file(folder / WEIGHTS)
    ends = ".lora_A.weight", ".lora_B.weight"
    names = [key.removesuffix(ends[0]) for key in held if key.endswith(ends[0])]
    donor = {name: Factors(held[name + ends[1]], held[name + ends[0]]) for name in names}
    for name, factors in gauged(donor, seed).items():
        held |= {name + ends[0]: factors.a.contiguous(), name + ends[1]: factors.b.contiguous()}
    save_file(held, target / WEIGHTS)
    return target


def times(donor: Donor, factor: float) -> Donor:
    """The donor's updates times a factor."""
    return {module: factors.scaled(factor) for module, factors in donor.items()}
