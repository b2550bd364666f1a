"""A random base of each family, 32 wide and 2 layers deep, with a tokenizer of single bytes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from worker.architectures.chatglm import ChatGLMConfig, ChatGLMForConditionalGeneration

SPECIAL = ["<s>", "</s>", "<pad>", "<unk>", "[MASK]", "[gMASK]"]
BYTES = sorted(pre_tokenizers.ByteLevel.alphabet())
VOCABULARY = {name: place for place, name in enumerate(SPECIAL + BYTES)}
WIDE, INNER, LAYERS, HEADS = 32, 48, 2, 4
#: What every config calls the same.
SHAPE: dict[str, Any] = {
    "vocab_size": len(VOCABULARY), "hidden_size": WIDE, "intermediate_size": INNER,
    "num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "num_key_value_heads": 2,
    "head_dim": WIDE // HEADS, "max_position_embeddings": 512, "initializer_range": 0.1,
    "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 2,
}  # fmt: skip


def tokenizer(single: str = "<s> $A") -> PreTrainedTokenizerFast:
    """Bytes as tokens; `single` is what stands around a text."""
    made = Tokenizer(models.BPE(VOCABULARY, []))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    named = [(name, VOCABULARY[name]) for name in SPECIAL if name in single]
    made.post_processor = processors.TemplateProcessing(single=single, special_tokens=named)
    return PreTrainedTokenizerFast(
        tokenizer_object=made, bos_token="<s>", eos_token="</s>", pad_token="<pad>",
        unk_token="<unk>", clean_up_tokenization_spaces=False,
    )  # fmt: skip


def _base(architecture: str, **more: Any) -> Callable[[], Any]:
    def make() -> Any:
        model_class = getattr(transformers, architecture)
        return model_class(model_class.config_class(**SHAPE | more))

    return make


def _chatglm() -> Any:
    return ChatGLMForConditionalGeneration(
        ChatGLMConfig(
            vocab_size=len(VOCABULARY), hidden_size=WIDE, inner_hidden_size=INNER,
            num_layers=LAYERS, num_attention_heads=HEADS, max_sequence_length=512,
            bos_token_id=0, eos_token_id=1, pad_token_id=2, mask_token_id=4, gmask_token_id=5,
            initializer_range=0.1, residual_layers=LAYERS,
        )
    )  # fmt: skip


#: By architecture: the family's shapes are those of its published models, made small.
BASES: dict[str, Callable[[], Any]] = {
    "LlamaForCausalLM": _base("LlamaForCausalLM", num_key_value_heads=HEADS),
    "MistralForCausalLM": _base("MistralForCausalLM", sliding_window=None),
    "Qwen2ForCausalLM": _base("Qwen2ForCausalLM"),
    "Qwen3ForCausalLM": _base("Qwen3ForCausalLM"),
    "GemmaForCausalLM": _base("GemmaForCausalLM"),
    "Gemma2ForCausalLM": _base("Gemma2ForCausalLM", sliding_window=64, query_pre_attn_scalar=8),
    "Gemma3ForCausalLM": _base("Gemma3ForCausalLM", sliding_window=64, query_pre_attn_scalar=8),
    "Phi3ForCausalLM": _base("Phi3ForCausalLM"),
    "GPTNeoXForCausalLM": _base("GPTNeoXForCausalLM", num_key_value_heads=None, head_dim=None),
    "BloomForCausalLM": _base(
        "BloomForCausalLM", n_layer=LAYERS, n_head=HEADS, num_key_value_heads=None, head_dim=None
    ),
    "RwkvForCausalLM": _base("RwkvForCausalLM", context_length=512),
    "GlmForCausalLM": _base("GlmForCausalLM"),
    "Glm4ForCausalLM": _base("Glm4ForCausalLM"),
    "ChatGLMForConditionalGeneration": _chatglm,
}


def make_base(architecture: str, folder: Path, seed: int = 0) -> Path:
    """Write a base of that architecture to a folder."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = BASES[architecture]()
    model.save_pretrained(folder)
    native = architecture.startswith("ChatGLM")
    tokenizer("$A [gMASK] <s>" if native else "<s> $A").save_pretrained(folder)
    return folder
