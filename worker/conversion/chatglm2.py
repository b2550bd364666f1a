"""ChatGLM2 and ChatGLM3 as transformers' Glm: the same layers under other names.

Both are causal, with RMSNorm, a gated MLP, grouped keys and values, and rotary positions over half
of each head in neighbouring pairs: what `GlmForCausalLM` computes. Left to do are the names, and
query, key and value, which lie behind each other in one module.
"""

import re
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, processors
from torch import Tensor
from transformers import GlmConfig, PreTrainedTokenizerFast

from worker.architectures.sentencepiece import Kind, SentencePiece, read_sentencepiece

VOCABULARY_NAME = "tokenizer.model"
#: Ids after those of the file, in this order; ChatGLM2 knows the first five.
_SPECIAL = (
    "[MASK]", "[gMASK]", "[sMASK]", "sop", "eop",
    "<|system|>", "<|user|>", "<|assistant|>", "<|observation|>",
)  # fmt: skip
_SPACE = "\u2581"
_NAMES = {
    "transformer.embedding.word_embeddings": "model.embed_tokens",
    "transformer.encoder.final_layernorm": "model.norm",
    "transformer.output_layer": "lm_head",
}
_LAYER = re.compile(r"transformer\.encoder\.layers\.(\d+)\.(.+)\.(weight|bias)$")
_IN_LAYER = {
    "self_attention.dense": "self_attn.o_proj",
    "mlp.dense_h_to_4h": "mlp.gate_up_proj",
    "mlp.dense_4h_to_h": "mlp.down_proj",
    "input_layernorm": "input_layernorm",
    "post_attention_layernorm": "post_attention_layernorm",
}
#: What the layers must be, else they are not Glm's.
_REQUIRED = {
    "rmsnorm": True, "post_layer_norm": True, "add_bias_linear": False,
    "apply_residual_connection_post_layernorm": False, "quantization_bit": 0, "pre_seq_len": None,
    "rope_ratio": 1,
}  # fmt: skip


def glm_config(config: dict[str, Any]) -> GlmConfig:
    """The configuration under Glm's names.

    Raises ValueError for what Glm's layers are not: other norms, biases, quantised weights, a
    trained prefix, and stretched positions (the 32k models and GLM-4, which has a release in
    transformers' own form).
    """
    for key, wanted in _REQUIRED.items():
        if config.get(key, wanted) not in (wanted, wanted or None):
            raise ValueError(f"{key} is {config[key]}, where {wanted} is known")
    heads = config["num_attention_heads"]
    grouped = config.get("multi_query_attention", False)
    return GlmConfig(
        vocab_size=config["padded_vocab_size"],
        hidden_size=config["hidden_size"],
        intermediate_size=config["ffn_hidden_size"],
        num_hidden_layers=config["num_layers"],
        num_attention_heads=heads,
        num_key_value_heads=config["multi_query_group_num"] if grouped else heads,
        head_dim=config["kv_channels"],
        max_position_embeddings=config["seq_length"],
        rms_norm_eps=config["layernorm_epsilon"],
        attention_bias=config.get("add_qkv_bias", False),
        rope_parameters={
            "rope_type": "default", "rope_theta": 10_000.0, "partial_rotary_factor": 0.5,
        },
        eos_token_id=config.get("eos_token_id", 2),
        pad_token_id=config.get("pad_token_id", 0),
        dtype=config.get("torch_dtype", "float16"),
        architectures=["GlmForCausalLM"],
    )  # fmt: skip


def renamed(name: str, value: Tensor, config: GlmConfig) -> dict[str, Tensor]:
    """A weight under Glm's names: one, three for query, key and value, none for what is computed.

    Raises ValueError for a name that ChatGLM2 does not have.
    """
    stem, _, kind = name.rpartition(".")
    if stem in _NAMES:
        return {f"{_NAMES[stem]}.{kind}": value}
    if kind == "inv_freq":
        return {}
    found = _LAYER.match(name)
    if found is None:
        raise ValueError(f"it has a weight {name}, which ChatGLM2 and 3 have not")
    layer, part, kind = found.groups()
    at = f"model.layers.{layer}"
    if part == "self_attention.query_key_value":
        width = config.head_dim or config.hidden_size // config.num_attention_heads
        groups = (config.num_key_value_heads or config.num_attention_heads) * width
        parts = value.split([config.num_attention_heads * width, groups, groups])
        return {f"{at}.self_attn.{one}_proj.{kind}": v for one, v in zip("qkv", parts, strict=True)}
    if part not in _IN_LAYER:
        raise ValueError(f"it has a weight {name}, which ChatGLM2 and 3 have not")
    return {f"{at}.{_IN_LAYER[part]}.{kind}": value}


def read_tokenizer(path: Path) -> PreTrainedTokenizerFast:
    """The tokenizer of a ChatGLM2 or 3 tokenizer.model; [gMASK] sop stand before a text.

    Raises ValueError where the file is another kind of model.
    """
    found = read_sentencepiece(path)
    if found.algorithm != 2 or found.charsmap or not found.add_dummy_prefix:
        raise ValueError(f"{path.name} is not ChatGLM2's or ChatGLM3's")
    ids = {piece.text: place for place, piece in enumerate(found.vocabulary)}
    first = len(ids)
    tokenizer = Tokenizer(
        models.BPE(ids, _merges(found, ids), unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    )
    steps: list[normalizers.Normalizer] = []
    if found.remove_extra_whitespaces:
        steps += [normalizers.Strip(), normalizers.Replace(Regex(" {2,}"), " ")]
    steps += [normalizers.Prepend(_SPACE), normalizers.Replace(" ", _SPACE)]
    tokenizer.normalizer = normalizers.Sequence(steps)
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.Replace(_SPACE, " "), decoders.ByteFallback(), decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )  # fmt: skip
    named = ("<unk>", "<s>", "</s>", *_SPECIAL)
    tokenizer.add_special_tokens([AddedToken(name, normalized=False) for name in named])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[gMASK] sop $A",
        special_tokens=[("[gMASK]", first + 1), ("sop", first + 3)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="</s>", pad_token="<unk>", unk_token="<unk>",
        padding_side="left", split_special_tokens=True, clean_up_tokenization_spaces=False,
    )  # fmt: skip


def _merges(found: SentencePiece, ids: dict[str, int]) -> list[tuple[str, str]]:
    """Every way to put a piece together from two others, likeliest piece first."""
    ranked: list[tuple[float, int, int, str, str]] = []
    for piece in found.vocabulary:
        if piece.kind is not Kind.NORMAL:
            continue
        for cut in range(1, len(piece.text)):
            left, right = piece.text[:cut], piece.text[cut:]
            if left in ids and right in ids:
                ranked.append((-piece.score, ids[left], ids[right], left, right))
    return [(left, right) for *_, left, right in sorted(ranked)]
