"""What every submitted spec has: a name, and the two groups of training parameters that recur."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints

from shared.specs.parameters import parameter

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]


class Spec(BaseModel):
    """What the user asked for; immutable, stored as JSON with its job."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


class LoraParameters(Spec):
    """The shape of a LoRA adapter (Hu et al. 2021, arXiv 2106.09685)."""

    rank: int = parameter(
        8,
        en=("Rank", "Rank r of the update s·B·A. Higher learns more and costs more."),
        zh=("秩", "更新量 s·B·A 的秩 r。越大学得越多，开销也越大。"),
        ge=1,
        le=1024,
    )
    alpha: float = parameter(
        16.0,
        en=("Alpha", "The update is scaled by s = alpha / rank."),
        zh=("Alpha", "更新量的缩放系数 s = alpha / 秩。"),
        gt=0,
        le=4096,
    )
    dropout: float = parameter(
        0.0,
        en=("Dropout", "Share of an adapted module's inputs dropped while training."),
        zh=("Dropout", "训练时适配模块输入被丢弃的比例。"),
        group="advanced",
        ge=0,
        lt=1,
    )
    target_modules: list[str] = parameter(
        [],
        en=(
            "Target modules",
            "Names of the linear modules to adapt; empty takes all of them except the output head.",
        ),
        zh=("目标模块", "要适配的线性模块名；留空表示除输出头外的全部线性模块。"),
        group="advanced",
    )


class OptimiserParameters(Spec):
    """How long and how fast to train (AdamW, linear warm-up, cosine or constant rate)."""

    learning_rate: float = parameter(
        2e-4,
        en=("Learning rate", "Peak rate of AdamW. LoRA wants about ten times that of full tuning."),
        zh=("学习率", "AdamW 的峰值学习率。LoRA 通常取全量微调的约十倍。"),
        gt=0,
        le=1,
    )
    epochs: float = parameter(
        3.0,
        en=("Epochs", "Passes over the data; ignored where max steps is set."),
        zh=("轮数", "遍历数据的次数；设置了最大步数时忽略。"),
        gt=0,
        le=1000,
    )
    max_steps: int = parameter(
        0,
        en=("Max steps", "Stop after this many optimiser steps; 0 trains the whole epochs."),
        zh=("最大步数", "达到该优化步数后停止；0 表示按轮数训练。"),
        unit="steps",
        group="advanced",
        ge=0,
    )
    batch_size: int = parameter(
        16,
        en=("Batch size", "Rows of one optimiser step."),
        zh=("批大小", "每个优化步使用的行数。"),
        unit="rows",
        ge=1,
        le=4096,
    )
    micro_batch_size: int = parameter(
        0,
        en=(
            "Micro-batch",
            "Rows in memory at once, accumulated to the batch size; 0 takes the "
            "whole batch. Does not change the result.",
        ),
        zh=("微批大小", "同时放入内存的行数，累积到批大小；0 表示整批。不影响结果。"),
        unit="rows",
        group="advanced",
        ge=0,
        le=4096,
    )
    warmup_ratio: float = parameter(
        0.03,
        en=("Warm-up", "Share of the steps over which the rate rises from 0."),
        zh=("预热比例", "学习率从 0 上升所占的步数比例。"),
        group="advanced",
        ge=0,
        lt=1,
    )
    schedule: Literal["cosine", "linear", "constant"] = parameter(
        "cosine",
        en=("Schedule", "What the rate does after warm-up."),
        zh=("学习率曲线", "预热之后学习率的变化方式。"),
        group="advanced",
    )
    weight_decay: float = parameter(
        0.0,
        en=("Weight decay", "AdamW's decoupled decay."),
        zh=("权重衰减", "AdamW 的解耦权重衰减。"),
        group="advanced",
        ge=0,
        le=1,
    )
    max_grad_norm: float = parameter(
        1.0,
        en=("Gradient clip", "Gradients are scaled down to this norm."),
        zh=("梯度裁剪", "梯度范数的上限。"),
        group="advanced",
        gt=0,
    )
    seed: int = parameter(
        0,
        en=("Seed", "Of initialisation, shuffling and sampling."),
        zh=("随机种子", "用于初始化、打乱和采样。"),
        group="advanced",
        ge=0,
        le=2**31 - 1,
    )
    precision: Literal["auto", "fp32", "bf16"] = parameter(
        "auto",
        en=("Precision", "Of the base's arithmetic: auto takes bf16 on a GPU, fp32 on a CPU."),
        zh=("精度", "底座的计算精度：auto 在 GPU 上用 bf16，在 CPU 上用 fp32。"),
        group="advanced",
    )
