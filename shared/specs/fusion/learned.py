"""The parameters of weighted sums whose weights are found on examples."""

from typing import Literal

from shared.specs.fusion.method import Words
from shared.specs.fusion.same_base import SameBase
from shared.specs.parameters import parameter


class FromExamples(SameBase):
    """A method on one base that looks at examples; it loads the base."""

    dataset: str = parameter(
        en=("Examples", "Dataset whose answers the fused adapter should find likely."),
        zh=("样例", "融合所得适配器应认为其回答更可能的数据集。"),
        picks="dataset",
    )
    rows: int = parameter(
        64,
        en=("Rows", "How many examples to use, the first ones; 0 uses all."),
        zh=("行数", "使用前多少条样例；0 表示全部。"),
        unit="rows",
        ge=0,
    )
    max_length: int = parameter(
        512,
        en=("Max length", "Longer rows are cut to this many tokens."),
        zh=("最大长度", "超出的行会截断到该词元数。"),
        unit="tokens",
        group="advanced",
        ge=8,
        le=1_000_000,
    )


class AlphaSearch(FromExamples):
    """Task arithmetic with its one strength found on examples (Ilharco et al., 2212.04089)."""

    title = Words(en="alpha search", zh="强度搜索")
    summary = Words(
        en="The mean of the adapters times the strength that makes the examples likeliest.",
        zh="各适配器的平均乘以使样例最可能的强度。",
    )
    method: Literal["alpha_search"] = "alpha_search"
    alphas: list[float] = parameter(
        [0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 3.0],
        en=("Strengths", "What is tried; 1 is the mean, the number of adapters is the sum."),
        zh=("强度", "要尝试的值；1 为平均，等于适配器个数时为总和。"),
        min_length=1,
    )


class LoraHub(FromExamples):
    """LoRAHub (Huang et al. 2024, arXiv 2307.13269) on exact sums."""

    title = Words(en="LoRAHub", zh="LoRAHub 组合")
    summary = Words(
        en="One weight for each adapter, found on a few examples without gradients.",
        zh="在少量样例上不用梯度地为每个适配器找一个权重。",
    )
    method: Literal["lorahub"] = "lorahub"
    tries: int = parameter(
        40,
        en=("Tries", "How often the examples are scored."),
        zh=("尝试次数", "对样例打分的次数。"),
        ge=2,
        le=10_000,
    )
    penalty: float = parameter(
        0.05,
        en=("Penalty", "Times the mean absolute weight is added to the loss."),
        zh=("惩罚", "乘以平均绝对权重后加到损失上。"),
        group="advanced",
        ge=0,
    )


class LoraSoups(FromExamples):
    """LoRA Soups, CAT (Prabhakar et al. 2025, arXiv 2410.13025)."""

    title = Words(en="LoRA Soups", zh="LoRA Soups 混合")
    summary = Words(
        en="One weight for each adapter and module, learned on examples by gradient descent.",
        zh="在样例上用梯度下降为每个适配器的每个模块学习一个权重。",
    )
    method: Literal["lora_soups"] = "lora_soups"
    steps: int = parameter(
        60,
        en=("Steps", "Optimiser steps."),
        zh=("步数", "优化步数。"),
        unit="steps",
        ge=1,
        le=100_000,
    )
    learning_rate: float = parameter(
        0.02,
        en=("Learning rate", "Rate of Adam on the weights."),
        zh=("学习率", "Adam 更新权重的学习率。"),
        gt=0,
        le=1,
    )
