"""What a published folder holds: LoRA factors, a prefix, or all weights of a model."""

import json
from pathlib import Path
from typing import Literal

from peft.utils.constants import CONFIG_NAME

Kind = Literal["lora", "prefix", "full"]


def kind_of(folder: Path) -> Kind:
    """By the folder's own config; what is not known counts as LoRA, whose reader says why not."""
    if not (folder / CONFIG_NAME).is_file():
        return "full" if (folder / "config.json").is_file() else "lora"
    try:
        config = json.loads((folder / CONFIG_NAME).read_text(encoding="utf-8"))
    except ValueError:
        return "lora"
    return "prefix" if config.get("peft_type") == "PREFIX_TUNING" else "lora"
