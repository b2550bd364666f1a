"""Which models read token after token into a state, instead of attending to what they read."""

import inspect
from typing import Any


def keeps_state(model: Any) -> bool:
    """Whether the model carries a state (RWKV) and no cache of keys and values.

    Its rows must not be padded at the left, which would run through the recurrence as text does;
    and transformers' RWKV mixes the rows of a batch when it goes on from a state.
    """
    bare = model.get_base_model() if hasattr(model, "get_base_model") else model
    known = inspect.signature(bare.forward).parameters
    return "state" in known and "past_key_values" not in known
