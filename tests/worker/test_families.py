"""The shapes and parts that a family's record gives are those of the model transformers builds."""

import pytest
import torch
import transformers
from torch import nn

from shared.families import FAMILIES, ModelFamily, family_of

#: Every side has a size of its own, so that no two can be mistaken for each other.
SIZES = {
    "vocab_size": 96,
    "hidden_size": 48,
    "intermediate_size": 80,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "pad_token_id": 0,
}
ARCHITECTURES = [(family, name) for family in FAMILIES.values() for name in family.architectures]


def _linear_modules(architecture: str) -> dict[str, tuple[int, int]]:
    """Module name -> (out, in) of one layer's linear modules, in a model without weights."""
    model_class = getattr(transformers, architecture)
    with torch.device("meta"):
        model = model_class(model_class.config_class(**SIZES))
    return {
        name.rpartition(".")[2]: (module.out_features, module.in_features)
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and ".layers." in name
    }


@pytest.mark.parametrize(
    ("family", "architecture"),
    ARCHITECTURES,
    ids=lambda value: value if isinstance(value, str) else value.name,
)
def test_a_familys_shapes_are_those_of_the_model(family: ModelFamily, architecture: str) -> None:
    assert family.shapes(SIZES) == _linear_modules(architecture)


@pytest.mark.parametrize("family", FAMILIES.values(), ids=lambda family: family.name)
def test_the_parts_of_a_fused_projection_make_up_its_rows(family: ModelFamily) -> None:
    shapes = family.shapes(SIZES)
    for name, parts in family.parts(SIZES).items():
        assert sum(parts.values()) == shapes[name][0]


def test_an_architecture_without_a_record_has_no_family() -> None:
    assert family_of("MambaForCausalLM") is None
    assert family_of("LlamaForCausalLM") is FAMILIES["llama"]
