"""Small LoRA folders that a filled pool's adapters consist of."""

import json
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file


def write_factors(folder: Path, name: str, parents: list[str], *, size: int = 64) -> None:
    """A LoRA of four layers; a weighted sum holds its parents' factors, others their own."""
    tensors: dict[str, Any] = {}
    fused = name == "fused"
    for layer, module in product(range(4), ("q_proj", "v_proj", "o_proj")):
        key = f"base_model.model.model.layers.{layer}.self_attn.{module}"
        halves = [_factors(f"{who}{key}", layer, size) for who in (parents if fused else [name])]
        tensors[f"{key}.lora_B.weight"] = np.concatenate([b for b, _ in halves], axis=1)
        tensors[f"{key}.lora_A.weight"] = np.concatenate([a for _, a in halves])
    rank = 8 * (len(parents) if fused else 1)
    config = {"peft_type": "LORA", "r": rank, "lora_alpha": rank}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    save_file(tensors, folder / "adapter_model.safetensors")


def _factors(seed: str, layer: int, size: int) -> tuple[Any, Any]:
    """(B, A) of rank 8, larger in later layers."""
    chance = np.random.default_rng(list(seed.encode()))
    b = chance.normal(0, 0.02 * (1 + layer), (size, 8))
    return b.astype(np.float32), chance.normal(0, 0.1, (8, size)).astype(np.float32)
