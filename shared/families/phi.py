"""Phi-3: LLaMA's layer with the attention projections in one module and gate and up in another."""

from shared.families.family import HEADS, KV_HEADS, ModelFamily

PHI = ModelFamily(
    name="phi",
    architectures=("Phi3ForCausalLM",),
    projections={
        "qkv_proj": ((HEADS, KV_HEADS, KV_HEADS), "hidden_size"),
        "o_proj": (("hidden_size",), HEADS),
        "gate_up_proj": (("intermediate_size", "intermediate_size"), "hidden_size"),
        "down_proj": (("hidden_size",), "intermediate_size"),
    },
    fused={
        "qkv_proj": ("q_proj", "k_proj", "v_proj"),
        "gate_up_proj": ("gate_proj", "up_proj"),
    },
)
