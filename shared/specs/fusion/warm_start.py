"""The parameters of moving weights and then training them on a few labelled rows."""

from typing import Literal

from shared.specs.fusion.method import Words
from shared.specs.fusion.teaching import Learning
from shared.specs.parameters import parameter


class WarmStart(Learning):
    """The donor's weights moved by a map, then trained on labels of the host's own task.

    After LoRASuite (arXiv 2505.13515), which trains on 100 examples what its maps give.
    """

    title = Words(en="warm start", zh="热启动")
    summary = Words(
        en="Moves the donor's weights by a map, then trains them on some labelled rows. Compare it with a new adapter trained on the same rows.",
        zh="先用映射搬运供体权重，再用少量有标注的行训练。请与在相同行上全新训练的适配器比较。",
    )
    method: Literal["warm_start"] = "warm_start"
    start: Literal["procrustes", "ridge", "copy"] = parameter(
        "procrustes",
        en=("Start", "How the donor's weights are moved before they are trained."),
        zh=("起点", "训练之前如何搬运供体权重。"),
    )
    labels: int = parameter(
        100,
        en=("Labels", "Train on this many rows, chosen by the seed; 0 takes all."),
        zh=("标注数", "用这么多行训练（由随机种子挑选）；0 表示全部。"),
        unit="rows",
        ge=0,
    )
