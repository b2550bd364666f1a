"""Published recipes: each is a spec, and the command line and the form begin with it."""

import pytest

from shared.errors import InvalidSpec
from shared.formats import FORMATS
from shared.specs import TrainingSpec, parse_spec
from shared.specs.recipes import RECIPES, recipe


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_is_a_whole_spec_once_name_base_and_data_are_given(name: str) -> None:
    own = {"kind": "train", "name": "mine", "base_model": "b", "dataset": "d"}
    spec = parse_spec(own | recipe(name))
    assert isinstance(spec, TrainingSpec)
    for field, value in RECIPES[name].values.items():
        assert getattr(spec, field) == value
    assert RECIPES[name].format in FORMATS
    assert RECIPES[name].en.endswith(".")
    assert RECIPES[name].zh.endswith("。")


def test_an_unknown_recipe_is_named_with_the_known_ones() -> None:
    with pytest.raises(InvalidSpec, match='no "qlora"; known: alpaca-lora-7b'):
        recipe("qlora")
