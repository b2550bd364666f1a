"""A model that full fine-tuning made, loaded as its base is: an arm that needs no base."""

from pathlib import Path
from typing import Any

import torch

from shared.errors import BadBase, UnsupportedAdapter, both
from shared.orders import BaseFiles
from worker.checkpoints import load_base


def whole_model(base: Any, folder: Path, name: str) -> Any:
    """The model in `folder` on the bare base's device, in its precision.

    Raises UnsupportedAdapter for weights of other names or shapes than the base's, and NaNs.
    """
    files = BaseFiles(name=name, location=str(folder), fingerprint="")
    precision = "bf16" if base.dtype is torch.bfloat16 else "fp32"
    try:
        model, _ = load_base(files, str(base.device), precision)
    except BadBase as wrong:
        raise UnsupportedAdapter(adapter=name, problem=wrong.params["problem"]) from wrong
    if strange := sorted(_shapes(model) ^ _shapes(base)):
        key = strange[0][0]
        problem = both(f"its {key} is not as in this base", f"其 {key} 与此底座不同")
        raise UnsupportedAdapter(adapter=name, problem=problem)
    for key, weight in model.named_parameters():
        if not weight.isfinite().all():
            problem = both(f"{key} holds NaN or infinite values", f"{key} 含有 NaN 或无穷大")
            raise UnsupportedAdapter(adapter=name, problem=problem)
    return model


def _shapes(model: Any) -> set[tuple[str, tuple[int, ...]]]:
    return {(name, tuple(weight.shape)) for name, weight in model.named_parameters()}
