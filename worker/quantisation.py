"""Bases in 8 or 4 bits through bitsandbytes, where it is there, and the reason where it is not."""

from importlib import import_module
from importlib.util import find_spec
from typing import Any

import torch
from transformers import BitsAndBytesConfig

from shared.errors import NoQuantisation, both


def quantised(bits: str, device: str, arithmetic: torch.dtype) -> dict[str, Any]:
    """What `from_pretrained` is told for a base in "8" or "4" bits; nothing for "full" and "fp8".

    8 bits are LLM.int8() (Dettmers et al. 2022, arXiv 2208.07339), 4 bits QLoRA's NF4 with
    doubly quantised constants (Dettmers et al. 2023, arXiv 2305.14314). The output head and the
    embeddings stay as they are. Raises NoQuantisation where bitsandbytes is missing or cannot
    start, and for 4 bits on a CPU, whose kernels have no gradient.
    """
    if bits in ("full", "fp8"):
        return {}
    if bits == "4" and not device.startswith("cuda"):
        why = both("its 4-bit kernels learn on CUDA only", "其 4 位内核只能在 CUDA 显卡上训练")
        raise NoQuantisation(bits=bits, why=why)
    _require_bitsandbytes(bits)
    return {"quantization_config": _config(bits, arithmetic)}


def _require_bitsandbytes(bits: str) -> None:
    if find_spec("bitsandbytes") is None:
        why = both("bitsandbytes is not installed there", "该主机未安装 bitsandbytes")
        raise NoQuantisation(bits=bits, why=why)
    try:
        import_module("bitsandbytes")
    except (ImportError, OSError, RuntimeError) as wrong:
        text = str(wrong).splitlines()[0]
        why = both(f"bitsandbytes cannot start ({text})", f"bitsandbytes 无法启动（{text}）")
        raise NoQuantisation(bits=bits, why=why) from wrong


def _config(bits: str, arithmetic: torch.dtype) -> BitsAndBytesConfig:
    if bits == "8":
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=arithmetic,
    )
