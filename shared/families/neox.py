"""GPT-NeoX, BLOOM (BELLE's other base), ChatGLM-6B: query, key, value head by head, no gate."""

from shared.families.family import FOUR_WIDE, HEADS, ModelFamily

_QKV = {"query_key_value": ("q_proj", "k_proj", "v_proj")}
#: The rest under the names of other families; a gate there has no place here.
_ALONE: dict[str, tuple[str, ...]] = {
    "dense": ("o_proj",),
    "dense_h_to_4h": ("up_proj",),
    "dense_4h_to_h": ("down_proj",),
}


def _projections(inner: str) -> dict[str, tuple[tuple[str, ...], str]]:
    return {
        "query_key_value": ((HEADS, HEADS, HEADS), "hidden_size"),
        "dense": (("hidden_size",), HEADS),
        "dense_h_to_4h": ((inner,), "hidden_size"),
        "dense_4h_to_h": (("hidden_size",), inner),
    }


NEOX = ModelFamily(
    name="neox",
    architectures=("GPTNeoXForCausalLM",),
    projections=_projections("intermediate_size"),
    fused=_ALONE,
    interleaved=_QKV,
)
BLOOM = ModelFamily(
    name="bloom",
    architectures=("BloomForCausalLM",),
    projections=_projections(FOUR_WIDE),
    fused=_ALONE,
    interleaved=_QKV,
)
#: The name of March 2023; ChatGLM2 and 3 share it, and are GLM once converted.
CHATGLM = ModelFamily(
    name="chatglm",
    architectures=("ChatGLMForConditionalGeneration", "ChatGLMModel"),
    projections=_projections("inner_hidden_size"),
    fused=_ALONE,
    interleaved=_QKV,
)
