"""A base's modules and their sizes, from its configuration alone: no weights, no device."""

from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.pytorch_utils import Conv1D

from shared.errors import BadBase
from shared.orders import BaseFiles


def read_config(base: BaseFiles) -> Any:
    """The transformers configuration of a base. Raises BadBase."""
    try:
        return AutoConfig.from_pretrained(base.location)
    except (OSError, ValueError) as wrong:
        problem = str(wrong).splitlines()[0]
        raise BadBase(location=base.location, problem=problem) from None


def linear_shapes(base: BaseFiles) -> dict[str, tuple[int, int]]:
    """(out, in) of every linear module of a base, from its configuration alone (no weights)."""
    found = module_shapes(base)
    return {name: (shape[0], shape[1]) for name, shape in found.items() if len(shape) == 2}


def module_shapes(base: BaseFiles) -> dict[str, tuple[int, ...]]:
    """The same of all its modules; nothing for those that are not linear."""
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(read_config(base))
    found: dict[str, tuple[int, ...]] = {}
    for name, part in model.named_modules():
        if isinstance(part, torch.nn.Linear):
            found[name] = (part.out_features, part.in_features)
        else:
            found[name] = (part.nf, part.nx) if isinstance(part, Conv1D) else ()
    return found
