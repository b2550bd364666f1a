"""FusionSpec: adapters in, one adapter out, by one of the methods declared here.

A method is a parameters class here, one function in `worker/fusion`, one line in its METHODS.
"""

from typing import Annotated, Literal

from pydantic import Field

from shared.specs.base import LoraParameters, Name, OptimiserParameters, Spec
from shared.specs.parameters import parameter


class WeightedSum(Spec):
    """Exact weighted sum of adapters of one base (task arithmetic, arXiv 2212.04089)."""

    method: Literal["weighted_sum"] = "weighted_sum"
    weights: list[float] = parameter(
        [],
        en=("Weights", "One for each adapter, in order; empty gives each the same share."),
        zh=("权重", "与适配器一一对应；留空表示平均分配。"),
    )
    rank: int = parameter(
        0,
        en=(
            "Output rank",
            "Rank of the fused adapter; 0 keeps the sum exact (the sum of the "
            "ranks). What a smaller rank drops is reported.",
        ),
        zh=(
            "输出秩",
            "融合所得适配器的秩；0 表示精确保留（各秩之和）。较小的秩所舍弃的能量会报告。",
        ),
        ge=0,
        le=4096,
    )


class Copy(Spec):
    """Put the donor's factors into the host base's modules of the same place."""

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


class Refresh(LoraParameters, OptimiserParameters):
    """The donor with its adapter answers prompts; a new adapter of the host base learns them.

    Works across tokenizers (Trans-LoRA, arXiv 2405.17258).
    """

    method: Literal["refresh"] = "refresh"
    dataset: str = parameter(
        en=(
            "Prompts",
            "Dataset whose instructions and inputs are asked; its outputs are not looked at.",
        ),
        zh=("提示集", "取其 instruction 与 input 作为提问；不读取其 output。"),
        picks="dataset",
    )
    rows: int = parameter(
        0,
        en=("Rows", "How many prompts to ask; 0 asks all."),
        zh=("行数", "提问的条数；0 表示全部。"),
        unit="rows",
        ge=0,
    )
    max_new_tokens: int = parameter(
        128,
        en=("Answer length", "Longest answer of the donor; longer ones are dropped as unfinished."),
        zh=("回答长度", "供体回答的最大长度；未结束的回答会被丢弃。"),
        unit="tokens",
        ge=1,
        le=8192,
    )
    temperature: float = parameter(
        0.0,
        en=("Temperature", "Of the donor's answers; 0 takes the likeliest token."),
        zh=("温度", "供体回答的采样温度；0 表示贪心。"),
        group="advanced",
        ge=0,
        le=2,
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
    checkpoint_every: int = parameter(
        50,
        en=("Checkpoint every", "Steps between checkpoints."),
        zh=("检查点间隔", "两次检查点之间的步数。"),
        unit="steps",
        group="advanced",
        ge=1,
    )


FusionMethod = Annotated[WeightedSum | Copy | Refresh, Field(discriminator="method")]
FUSION_METHODS: dict[str, type[Spec]] = {
    "weighted_sum": WeightedSum,
    "copy": Copy,
    "refresh": Refresh,
}
#: Methods that move one adapter to another base; the others stay on theirs.
TRANSFERS = (Copy, Refresh)


class FusionSpec(Spec):
    """Fuse adapters of one base, or transfer one to a host base."""

    kind: Literal["fuse"] = "fuse"
    name: Name = parameter(
        en=("Adapter name", "What the fused adapter will be called; unique in the pool."),
        zh=("适配器名称", "融合所得适配器的名称，在资源池内唯一。"),
    )
    adapters: list[str] = parameter(
        en=("Adapters", "The donors; a transfer takes one."),
        zh=("适配器", "供体适配器；迁移只取一个。"),
        picks="adapter",
        min_length=1,
    )
    host_base: str = parameter(
        "",
        en=("Host base", "The base that receives the adapter; only for transfers."),
        zh=("宿主底座", "接收适配器的底座；仅用于迁移。"),
        picks="base_model",
    )
    params: FusionMethod
    time_limit: int = parameter(
        0,
        en=("Time limit", "Stop the job after this long; 0 means no limit."),
        zh=("时限", "超过该时长即停止任务；0 表示不限。"),
        unit="s",
        group="advanced",
        ge=0,
    )
