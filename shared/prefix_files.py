"""Prefixes (P-Tuning v2) made elsewhere: looked through before they enter the pool."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from shared.adapter_files import WEIGHTS, config_of, tensor_table, tensors
from shared.errors import Both, UnsupportedAdapter, both
from shared.families import size

#: PEFT's name of the only tensor: (tokens, layers · keys and values · heads · width of one).
_TENSOR = "prompt_embeddings"


def check_prefix(name: str, folder: Path, base: str, location: Path) -> dict[str, Any]:
    """What is known of a prefix's folder after looking at all of it.

    `location`: the base's folder; where it is not on this machine, sizes are not compared. Raises
    UnsupportedAdapter for a reparametrisation, another base's size, NaNs, and damaged files.
    """
    config, path = config_of(name, folder), folder / WEIGHTS
    table, start = tensor_table(name, path) if path.is_file() else ({}, 0)
    shape = tuple(table[_TENSOR]["shape"]) if _TENSOR in table else ()
    tokens = int(config.get("num_virtual_tokens") or 0)
    if problem := _misfit(config, shape, tokens, base, _base_config(location)):
        raise UnsupportedAdapter(adapter=name, problem=problem)
    for _ in tensors(name, path, table, start):
        pass  # refuses NaNs as it goes
    return {
        "rank": tokens,
        "modules": 0,
        "tuning": "prefix",
        "made_for": str(config.get("base_model_name_or_path") or ""),
    }


def _misfit(
    config: Mapping[str, Any], shape: tuple[int, ...], tokens: int, base: str, known: dict[str, Any]
) -> Both | None:
    if config.get("prefix_projection"):
        return both(
            "its prefix is reparametrised (prefix_projection); save what the projection yields",
            "其前缀带重参数化（prefix_projection）；请保存投影后的结果",
        )
    if len(shape) != 2 or shape[0] != tokens:
        return both(
            f"its {_TENSOR} are {list(shape)}, and its config says {tokens} virtual tokens",
            f"其 {_TENSOR} 的尺寸为 {list(shape)}，而配置写明 {tokens} 个虚拟词元",
        )
    wanted = _width(known)
    if wanted and shape[1] != wanted:
        return both(
            f"its {_TENSOR} are {shape[1]} wide, and {base} takes {wanted}; was it made for "
            "another base?",
            f"其 {_TENSOR} 的宽度为 {shape[1]}，而 {base} 需要 {wanted}；它是为另一底座制作的吗？",
        )
    return None


def _width(known: dict[str, Any]) -> int:
    """Numbers of one virtual token in a base of that config.json; 0 where that does not say."""
    try:
        heads = size(known, "num_attention_heads")
        width = int(known.get("head_dim") or size(known, "hidden_size") // heads)
        shared = int(known.get("num_key_value_heads") or heads)
        return size(known, "num_hidden_layers") * 2 * shared * width
    except KeyError:
        return 0


def _base_config(location: Path) -> dict[str, Any]:
    path = location / "config.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
