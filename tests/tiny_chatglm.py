"""A random ChatGLM-6B base with the original's names, and a small ice_text.model made by hand."""

import json
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

#: (text, log-probability, kind); the original's blocks in the original's order.
WORDS = [
    "\u2581", "\u2581the", "\u2581capital", "\u2581of", "\u2581Par", "is", "is\u2581", ".",
    "a", "b", "c", "好", "你", "你好", "<", ">", "s", "o", "p",
]  # fmt: skip
SPECIAL = ["[MASK]", "[gMASK]", "[sMASK]", "<unused_0>", "<sop>", "<eop>", "<ENC>", "<dBLOCK>"]
PIECES: list[tuple[str, float, int]] = [
    ("<unk>", 0.0, 2),
    *((name, 0.0, 3) for name in ("<s>", "</s>", "<pad>")),
    ("<n>", 0.0, 4),
    *((word, -2.0 - place / 8, 1) for place, word in enumerate(WORDS)),
    *((name, 0.0, 3) for name in SPECIAL),
    ("<|tab|>", 0.0, 4),
    *((f"<|blank_{count}|>", 0.0, 4) for count in range(2, 81)),
    *((f"<0x{byte:02X}>", 0.0, 6) for byte in range(256)),
]  # fmt: skip
IDS = {text: place for place, (text, _, _) in enumerate(PIECES)}
SIZES: dict[str, Any] = {
    "hidden_size": 32, "inner_hidden_size": 48, "num_layers": 2, "num_attention_heads": 4,
    "max_sequence_length": 256, "layernorm_epsilon": 1e-5,
}  # fmt: skip


def write_ice_text(
    path: Path, pieces: Sequence[tuple[str, float, int]] = PIECES, algorithm: int = 1
) -> None:
    """A SentencePiece model of those pieces (1 unigram, 2 BPE), in protobuf's wire format."""
    parts = [
        _field(1, _field(1, text.encode()) + b"\x15" + struct.pack("<f", score) + bytes([24, kind]))
        for text, score, kind in pieces
    ]
    trainer, normaliser = (
        bytes([24, algorithm]) + _varint(35 << 3) + b"\x01",
        _field(1, b"identity"),
    )
    path.write_bytes(b"".join(parts) + _field(2, trainer) + _field(3, normaliser))


def config_of(offset: int = 0, **more: Any) -> dict[str, Any]:
    """A config.json as THUDM's, but small; `offset` image tokens come first."""
    masks = {"mask_token_id": IDS["[MASK]"], "gmask_token_id": IDS["[gMASK]"]}
    masks = {} if offset else masks
    return {
        "_name_or_path": "THUDM/chatglm-6b",
        "architectures": ["ChatGLMModel"],
        "auto_map": {
            "AutoConfig": "configuration_chatglm.ChatGLMConfig",
            "AutoModel": "modeling_chatglm.ChatGLMForConditionalGeneration",
        },
        "model_type": "chatglm", "position_encoding_2d": True, "torch_dtype": "float16",
        "bos_token_id": offset + IDS["<sop>"], "eos_token_id": offset + IDS["<eop>"],
        "pad_token_id": offset + IDS["<pad>"], "vocab_size": offset + len(PIECES) + 8,
        "transformers_version": "4.23.1", "use_cache": True, **masks, **SIZES, **more,
    }  # fmt: skip


def weights_of(config: dict[str, Any], seed: int = 0) -> dict[str, torch.Tensor]:
    """Random weights under every name that the original checkpoint has."""
    wide, inner = config["hidden_size"], config["inner_hidden_size"]
    shapes: dict[str, tuple[int, ...]] = {
        "transformer.word_embeddings.weight": (config["vocab_size"], wide),
        "transformer.final_layernorm.weight": (wide,),
        "transformer.final_layernorm.bias": (wide,),
        "lm_head.weight": (config["vocab_size"], wide),
    }
    for layer in range(config["num_layers"]):
        at = f"transformer.layers.{layer}"
        for name, out, into in (
            ("attention.query_key_value", 3 * wide, wide), ("attention.dense", wide, wide),
            ("mlp.dense_h_to_4h", inner, wide), ("mlp.dense_4h_to_h", wide, inner),
        ):  # fmt: skip
            shapes |= {f"{at}.{name}.weight": (out, into), f"{at}.{name}.bias": (out,)}
        for name in ("input_layernorm", "post_attention_layernorm"):
            shapes |= {f"{at}.{name}.weight": (wide,), f"{at}.{name}.bias": (wide,)}
        shapes[f"{at}.attention.rotary_emb.inv_freq"] = (
            wide // config["num_attention_heads"] // 4,
        )
    draw = torch.Generator().manual_seed(seed)
    made = {
        name: torch.randn(shape, generator=draw) * _scale(name, len(shape))
        for name, shape in shapes.items()
    }
    return {
        name: value + 1 if name.endswith("layernorm.weight") else value
        for name, value in made.items()
    }


def make_chatglm(folder: Path, *, offset: int = 0, pickled: bool = False, **more: Any) -> Path:
    """The base's folder: config.json, ice_text.model, and weights in two shards of either kind."""
    folder.mkdir(parents=True, exist_ok=True)
    config = config_of(offset, **more)
    (folder / "config.json").write_text(json.dumps(config))
    write_ice_text(folder / "ice_text.model")
    weights = weights_of(config)
    names = sorted(weights)
    shards = [names[: len(names) // 2], names[len(names) // 2 :]]
    form = "pytorch_model-0000{}-of-00002.bin" if pickled else "model-0000{}-of-00002.safetensors"
    index: dict[str, str] = {}
    for number, shard in enumerate(shards, start=1):
        file = form.format(number)
        index |= dict.fromkeys(shard, file)
        held = {name: weights[name] for name in shard}
        if pickled:
            torch.save({name: value.half() for name, value in held.items()}, folder / file)
        else:
            save_file(held, folder / file, {"format": "pt"})
    name = "pytorch_model.bin.index.json" if pickled else "model.safetensors.index.json"
    (folder / name).write_text(json.dumps({"metadata": {}, "weight_map": index}))
    return folder


def _scale(name: str, dimensions: int) -> float:
    """So large in the layers that the residual's factor does not drown what they do."""
    if dimensions == 1:
        return 0.1
    return 0.8 if ".layers." in name else 0.2


def _field(number: int, value: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])
