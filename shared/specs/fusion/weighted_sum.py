"""The parameters of the exact weighted sum."""

from typing import Literal

from shared.specs.fusion.method import Words
from shared.specs.fusion.same_base import Weighted


class WeightedSum(Weighted):
    """Exact weighted sum of adapters of one base (task arithmetic, arXiv 2212.04089)."""

    title = Words(en="weighted sum", zh="加权和")
    summary = Words(
        en="Exact weighted sum of adapters of one base. The base is not loaded.",
        zh="同一底座上多个适配器的精确加权和，无需加载底座。",
    )
    method: Literal["weighted_sum"] = "weighted_sum"
