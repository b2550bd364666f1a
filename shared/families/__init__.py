"""What Graft knows of each model family: pure data, one file a family."""

from shared.families.family import ModelFamily, size
from shared.families.glm import GLM
from shared.families.llama import GEMMA, LLAMA, MISTRAL, QWEN
from shared.families.neox import BLOOM, CHATGLM, NEOX
from shared.families.phi import PHI
from shared.families.rwkv import RWKV

FAMILIES: dict[str, ModelFamily] = {
    family.name: family
    for family in (LLAMA, MISTRAL, QWEN, GEMMA, GLM, CHATGLM, PHI, NEOX, BLOOM, RWKV)
}


def family_of(architecture: str) -> ModelFamily | None:
    """The family of a `config.json` architecture name, or None for one Graft has no facts on."""
    for family in FAMILIES.values():
        if architecture in family.architectures:
            return family
    return None


__all__ = ["FAMILIES", "ModelFamily", "family_of", "size"]
