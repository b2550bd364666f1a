"""The starter kit is made once, whole or not at all, and its bases differ as two families do."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from shared import base_models
from shared.orders import BaseFiles
from worker.checkpoints import load_base
from worker.starter.files import Sizes
from worker.starter.kit import Kit, KitRecipe, digest, starter_kit
from worker.starter.recipes import RECIPES

SMALL = KitRecipe(
    sizes=Sizes(documents=300, rows=30, prompts=20, items=10),
    bases=tuple(replace(recipe, first_steps=1, steps=2) for recipe in RECIPES),
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def kit(home: Path) -> Kit:
    return starter_kit(home, SMALL)


def test_a_second_call_makes_nothing(kit: Kit, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("worker.starter.kit.make_bases")
    assert starter_kit(home, SMALL) == kit


def test_another_recipe_is_another_kit() -> None:
    assert digest(SMALL) != digest(replace(SMALL, seed=1))


def test_a_kit_whose_making_fails_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError("no room")

    monkeypatch.setattr("worker.starter.kit.make_bases", fail)
    with pytest.raises(OSError, match="no room"):
        starter_kit(tmp_path, SMALL)
    assert not (tmp_path / "starter" / digest(SMALL)).exists()


def test_the_bases_are_of_two_families_and_no_module_has_the_same_shape(kit: Kit) -> None:
    facts = {name: base_models.inspect(folder) for name, folder in kit.bases.items()}
    llama, glm = facts["starter-llama"], facts["starter-glm"]
    assert (llama["family"], glm["family"]) == ("llama", "glm")
    for fact in ("hidden_size", "layers", "vocabulary", "fingerprint"):
        assert llama[fact] != glm[fact]


@pytest.mark.parametrize("name", ["starter-llama", "starter-glm"])
def test_a_base_loads_and_its_tokenizer_gives_text_back(kit: Kit, name: str) -> None:
    files = BaseFiles(name=name, location=str(kit.bases[name]), fingerprint="-")
    model, tokenizer = load_base(files, "cpu", "fp32")
    ids = tokenizer("Iris bought a chair. 丽丽买了椅子。")["input_ids"]
    assert tokenizer.decode(ids) == "Iris bought a chair. 丽丽买了椅子。"
    with torch.no_grad():
        assert torch.isfinite(model(torch.tensor([ids])).logits).all()
