"""What Graft knows of each model family: pure data, one file a family."""

from shared.families.family import ModelFamily
from shared.families.glm import GLM
from shared.families.llama import LLAMA, MISTRAL, QWEN
from shared.families.phi import PHI

FAMILIES: dict[str, ModelFamily] = {
    family.name: family for family in (LLAMA, MISTRAL, QWEN, GLM, PHI)
}


def family_of(architecture: str) -> ModelFamily | None:
    """The family of a `config.json` architecture name, or None for one Graft has no facts on."""
    for family in FAMILIES.values():
        if architecture in family.architectures:
            return family
    return None


__all__ = ["FAMILIES", "ModelFamily", "family_of"]
