"""The shapes and parts that a family's record gives are those of the model transformers builds."""

from collections import Counter
from typing import Any

import pytest
import torch
import transformers
from torch import nn

from shared.families import FAMILIES, ModelFamily, family_of
from worker.architectures.chatglm import ChatGLMForConditionalGeneration

#: Every side has a size of its own, so that no two can be mistaken for each other.
SIZES: dict[str, Any] = {
    "vocab_size": 96,
    "hidden_size": 48,
    "intermediate_size": 80,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "pad_token_id": 0,
}
#: What else an architecture calls its sizes; heads as wide as the model where nothing says else.
OTHERS: dict[str, dict[str, Any]] = {
    "GPTNeoXForCausalLM": {"head_dim": None},
    "BloomForCausalLM": {"n_layer": 1, "n_head": 4, "head_dim": None},
    "RwkvForCausalLM": {"attention_hidden_size": 32},
    "ChatGLMForConditionalGeneration": {
        "inner_hidden_size": 80, "num_layers": 1, "bos_token_id": 9, "head_dim": None,
    },
}  # fmt: skip
OTHERS["ChatGLMModel"] = OTHERS["ChatGLMForConditionalGeneration"]
ARCHITECTURES = [(family, name) for family in FAMILIES.values() for name in family.architectures]


def _sizes(architecture: str) -> dict[str, Any]:
    return SIZES | OTHERS.get(architecture, {})


def _linear_modules(architecture: str) -> dict[str, tuple[int, int]]:
    """Module name -> (out, in) of one layer's linear modules, in a model without weights."""
    model_class: Any = getattr(transformers, architecture, ChatGLMForConditionalGeneration)
    with torch.device("meta"):
        model = model_class(model_class.config_class(**_sizes(architecture)))
    paths = {
        name.split(".0.", 1)[1]: (module.out_features, module.in_features)
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and ".0." in name
    }
    short = Counter(path.rpartition(".")[2] for path in paths)
    return {
        path if short[path.rpartition(".")[2]] > 1 else path.rpartition(".")[2]: shape
        for path, shape in paths.items()
    }


@pytest.mark.parametrize(
    ("family", "architecture"),
    ARCHITECTURES,
    ids=lambda value: value if isinstance(value, str) else value.name,
)
def test_a_familys_shapes_are_those_of_the_model(family: ModelFamily, architecture: str) -> None:
    assert family.shapes(_sizes(architecture)) == _linear_modules(architecture)


def test_rows_of_an_interleaved_projection_are_dealt_out_head_by_head() -> None:
    rows = FAMILIES["chatglm"].rows(
        {"hidden_size": 8, "num_attention_heads": 2} | {"inner_hidden_size": 9}
    )
    assert rows["query_key_value"] == {
        "q_proj": [0, 1, 2, 3, 12, 13, 14, 15],
        "k_proj": [4, 5, 6, 7, 16, 17, 18, 19],
        "v_proj": [8, 9, 10, 11, 20, 21, 22, 23],
    }


@pytest.mark.parametrize("family", FAMILIES.values(), ids=lambda family: family.name)
def test_the_parts_of_a_fused_projection_make_up_its_rows(family: ModelFamily) -> None:
    sizes = _sizes(family.architectures[0])
    shapes = family.shapes(sizes)
    for name, parts in family.parts(sizes).items():
        assert sum(parts.values()) == shapes[name][0]


def test_an_architecture_without_a_record_has_no_family() -> None:
    assert family_of("MambaForCausalLM") is None
    assert family_of("LlamaForCausalLM") is FAMILIES["llama"]
