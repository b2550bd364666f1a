"""RWKV-4 as transformers builds it: a recurrence instead of attention, names used twice a layer."""

from shared.families.family import ModelFamily

_ATTENTION = "attention_hidden_size"

RWKV = ModelFamily(
    name="rwkv",
    architectures=("RwkvForCausalLM",),
    projections={
        "attention.key": ((_ATTENTION,), "hidden_size"),
        "attention.value": ((_ATTENTION,), "hidden_size"),
        "attention.receptance": ((_ATTENTION,), "hidden_size"),
        "output": (("hidden_size",), _ATTENTION),
        "feed_forward.key": (("intermediate_size",), "hidden_size"),
        "feed_forward.receptance": (("hidden_size",), "hidden_size"),
        "feed_forward.value": (("hidden_size",), "intermediate_size"),
    },
)
