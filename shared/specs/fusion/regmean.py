"""The parameters of RegMean."""

from typing import Literal

from shared.specs.fusion.learned import FromExamples
from shared.specs.fusion.method import Words
from shared.specs.fusion.same_base import Weighted
from shared.specs.parameters import parameter


class RegMean(FromExamples, Weighted):
    """RegMean (Jin et al. 2023, arXiv 2212.09849)."""

    title = Words(en="RegMean", zh="RegMean 回归平均")
    summary = Words(
        en="The update whose outputs are nearest to each adapter's own on that adapter's "
        "activations over the examples. Looks at no gradient.",
        zh="在样例上各适配器自身激活处，输出最接近各适配器的更新量；不用梯度。",
    )
    method: Literal["regmean"] = "regmean"
    shrink: float = parameter(
        0.9,
        en=("Shrink", "Off-diagonal entries of the activations' products are multiplied by this."),
        zh=("收缩", "激活内积矩阵的非对角元素乘以该值。"),
        group="advanced",
        ge=0,
        le=1,
    )
