"""The parameters of the control that a transfer has to beat: random weights of the same size."""

from typing import Literal

from shared.specs.fusion.method import Transfer, Words
from shared.specs.parameters import parameter


class Noise(Transfer):
    """Random factors on the host, each module's update as long as the donor's."""

    title = Words(en="random control", zh="随机对照")
    summary = Words(
        en="Random weights, in every module as large as the donor's update: what any change of that size does. A control, not a transfer.",
        zh="随机权重，每个模块的更新量与供体同样大：看同等大小的任意改动会造成什么。仅作对照，并非迁移。",
    )
    method: Literal["noise"] = "noise"
    seed: int = parameter(
        0,
        en=("Seed", "Of the draw."),
        zh=("随机种子", "用于抽取。"),
        ge=0,
        le=2**31 - 1,
    )
