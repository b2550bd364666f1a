"""LLaMA and the families that share its module names: Alpaca, Vicuna, Mistral, Qwen, Gemma."""

from shared.families.family import HEADS, KV_HEADS, ModelFamily

_PROJECTIONS: dict[str, tuple[tuple[str, ...], str]] = {
    "q_proj": ((HEADS,), "hidden_size"),
    "k_proj": ((KV_HEADS,), "hidden_size"),
    "v_proj": ((KV_HEADS,), "hidden_size"),
    "o_proj": (("hidden_size",), HEADS),
    "gate_proj": (("intermediate_size",), "hidden_size"),
    "up_proj": (("intermediate_size",), "hidden_size"),
    "down_proj": (("hidden_size",), "intermediate_size"),
}

LLAMA = ModelFamily(name="llama", architectures=("LlamaForCausalLM",), projections=_PROJECTIONS)
MISTRAL = ModelFamily(
    name="mistral", architectures=("MistralForCausalLM",), projections=_PROJECTIONS
)
QWEN = ModelFamily(
    name="qwen",
    architectures=("Qwen2ForCausalLM", "Qwen3ForCausalLM"),
    projections=_PROJECTIONS,
)
GEMMA = ModelFamily(
    name="gemma",
    architectures=("GemmaForCausalLM", "Gemma2ForCausalLM", "Gemma3ForCausalLM"),
    projections=_PROJECTIONS,
)
