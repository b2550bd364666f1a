"""The parameters of STAR."""

from typing import Literal

from shared.specs.fusion.method import Words
from shared.specs.fusion.same_base import Scaled, Weighted
from shared.specs.parameters import parameter


class Star(Scaled, Weighted):
    """STAR: spectral truncation and rescale (Lee et al. 2025, arXiv 2502.10339)."""

    title = Words(en="STAR", zh="STAR 谱截断")
    summary = Words(
        en="Keeps each adapter's leading singular directions, enlarges them to make up for the "
        "rest, and sums: fewer directions to conflict, the same nuclear norm. Needs no data.",
        zh="只保留各适配器领先的奇异方向并放大以补足其余部分，再求和：冲突的方向更少，核范数不变，"
        "无需数据。",
    )
    method: Literal["star"] = "star"
    keep: float = parameter(
        0.4,
        en=(
            "Nuclear norm kept",
            "Each adapter keeps the fewest directions that hold this share of the sum of its "
            "singular values; 0.4 as published.",
        ),
        zh=(
            "保留核范数",
            "各适配器保留最少的方向，使其奇异值之和达到该比例；论文取 0.4。",
        ),
        gt=0,
        le=1,
    )
