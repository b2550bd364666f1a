"""The parameters of the naive copy onto another base."""

from typing import Literal

from shared.specs.fusion.method import LayerByLayer, Words
from shared.specs.parameters import parameter


class Copy(LayerByLayer):
    """Put the donor's factors into the host base's modules of the same place."""

    title = Words(en="copy", zh="复制")
    summary = Words(
        en="Puts the donor's factors into the modules of another base that have the same place. Mostly a control: across families it changes nothing, and the job then fails as NO-OP.",
        zh="把供体的因子放进另一底座中位置相同的模块。主要用作对照：跨模型家族时它什么也不改变，任务会以无效果（NO-OP）结束。",
    )
    method: Literal["copy"] = "copy"
    resize: Literal["refuse", "pad"] = parameter(
        "refuse",
        en=(
            "Other shapes",
            "refuse leaves out a module whose shape differs; pad fills with zeros or cuts.",
        ),
        zh=("形状不同时", "refuse 跳过形状不同的模块；pad 用零填充或截断。"),
    )
    scale: float = parameter(
        1.0,
        en=("Scale", "Multiplies the donor's update."),
        zh=("缩放", "乘到供体的更新量上。"),
        group="advanced",
        gt=0,
        le=16,
    )
