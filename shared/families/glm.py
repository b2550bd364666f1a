"""GLM-4 as transformers builds it: LLaMA's attention, gate and up projections fused in one."""

from shared.families.family import HEADS, KV_HEADS, ModelFamily

GLM = ModelFamily(
    name="glm",
    architectures=("GlmForCausalLM", "Glm4ForCausalLM"),
    projections={
        "q_proj": ((HEADS,), "hidden_size"),
        "k_proj": ((KV_HEADS,), "hidden_size"),
        "v_proj": ((KV_HEADS,), "hidden_size"),
        "o_proj": (("hidden_size",), HEADS),
        "gate_up_proj": (("intermediate_size", "intermediate_size"), "hidden_size"),
        "down_proj": (("hidden_size",), "intermediate_size"),
    },
    fused={"gate_up_proj": ("gate_proj", "up_proj")},
)
