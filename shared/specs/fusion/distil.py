"""The parameters of distilling the donor's change of logits into a host adapter."""

from typing import Literal

from shared.specs.fusion.method import Words
from shared.specs.fusion.teaching import Teaching
from shared.specs.parameters import parameter


class Distil(Teaching):
    """Delta distillation: the host's logits, moved as the adapter moves the donor's, are learned.

    Both bases are in memory. Tokenizers may differ: distributions are compared where both begin a
    token at the same byte.
    """

    title = Words(en="delta distillation", zh="差分蒸馏")
    summary = Words(
        en="The host learns by how much the adapter moves its donor's logits, on answers the donor gives to the prompts. Works across tokenizers, byte by byte; both bases are in memory.",
        zh="让宿主在供体给出的回答上学习适配器使供体 logits 改变了多少。分词器不同时按字节对齐；两个底座同时驻留内存。",
    )
    method: Literal["distil"] = "distil"
    strength: float = parameter(
        1.0,
        en=(
            "Strength",
            "How much of the donor adapter's change of logits is added to the host's own logits.",
        ),
        zh=("强度", "把供体适配器引起的 logits 变化按多大比例加到宿主自己的 logits 上。"),
        group="advanced",
        gt=0,
        le=8,
    )
    target: Literal["change", "donor"] = parameter(
        "change",
        en=(
            "Target",
            "change: the host's own logits, moved as the adapter moves the donor's. donor: what the donor with its adapter says, which needs one vocabulary for both; what the host knew better is unlearned.",
        ),
        zh=(
            "目标",
            "change：宿主自己的 logits 加上适配器引起的变化。donor：带适配器的供体自己的分布，两个底座须用同一词表；宿主原本更擅长的会被覆盖。",
        ),
        group="advanced",
    )
    start: Literal["fresh", "copy", "procrustes", "ridge"] = parameter(
        "fresh",
        en=("Start", "Begin with a new adapter, or with the donor's weights moved by that method."),
        zh=("起点", "从全新的适配器开始，或从用该方法迁移过来的供体权重开始。"),
        group="advanced",
    )
