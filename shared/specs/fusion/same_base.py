"""Parameters that methods on one base share: output rank and profile, weights, scale, sparsity."""

from typing import Literal

from shared.specs.fusion.method import FusionParameters
from shared.specs.parameters import parameter

#: Ranks that vLLM allots memory for (its `max_lora_rank`).
VLLM_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)


class SameBase(FusionParameters):
    """A method whose adapters all belong to the base of the result."""

    rank: int = parameter(
        0,
        en=(
            "Output rank",
            "Rank of the fused adapter; 0 takes the sum of the ranks, or fewer where fewer hold "
            "everything. What a smaller rank drops is reported.",
        ),
        zh=(
            "输出秩",
            "融合所得适配器的秩；0 表示各秩之和，更小的秩已足够时取更小者。较小的秩所舍弃的能量会报告。",
        ),
        ge=0,
        le=4096,
    )
    profile: Literal["peft", "vllm"] = parameter(
        "peft",
        en=(
            "Profile",
            "vllm writes one rank everywhere, one of 8, 16, 32, 64, 128, 256, 320, 512, and no "
            "patterns, biases or saved modules.",
        ),
        zh=(
            "输出规格",
            "vllm：所有模块同一个秩（8、16、32、64、128、256、320、512 之一），"
            "不含 pattern、偏置与整存模块。",
        ),
        group="advanced",
    )

    dora_rank: int = parameter(
        64,
        en=(
            "DoRA rank",
            "Rank that the update of a DoRA adapter is cut to, with the base's help; what is lost "
            "is reported. 0 refuses DoRA.",
        ),
        zh=(
            "DoRA 秩",
            "借助底座把 DoRA 适配器的更新量截断到该秩，损失会报告；0 表示拒绝 DoRA。",
        ),
        group="advanced",
        ge=0,
        le=4096,
    )
    saved_modules: Literal["refuse", "average", "pick"] = parameter(
        "refuse",
        en=(
            "Saved modules",
            "What becomes of whole modules that adapters brought (modules_to_save): average them "
            "by the weights, or pick those of one adapter.",
        ),
        zh=(
            "整存模块",
            "适配器自带的完整模块（modules_to_save）如何处理：average 按权重平均，pick 取某一个的。",
        ),
        group="advanced",
    )
    saved_from: str = parameter(
        "",
        en=("Saved from", "The adapter whose saved modules are picked."),
        zh=("取自", "pick 时取哪个适配器的整存模块。"),
        group="advanced",
        picks="adapter",
    )


class Weighted(SameBase):
    """A method whose adapters have weights."""

    weights: list[float] = parameter(
        [],
        en=("Weights", "One for each adapter, in order; empty gives each the same share."),
        zh=("权重", "与适配器一一对应；留空表示平均分配。"),
    )


class Scaled(SameBase):
    """A method whose result may be made stronger or weaker."""

    scale: float = parameter(
        1.0,
        en=("Scale", "Multiplies the fused update."),
        zh=("缩放", "乘到融合所得的更新量上。"),
        gt=0,
        le=64,
    )


class Sparse(Scaled):
    """An elementwise method, and the coordinates in which it counts elements."""

    density: float = parameter(
        0.5,
        en=("Density", "Share of the elements of each update that is kept."),
        zh=("保留比例", "每个更新量中保留的元素比例。"),
        gt=0,
        le=1,
    )
    space: Literal["dense", "knots", "core"] = parameter(
        "dense",
        en=(
            "Coordinates",
            "dense: the weights themselves, as published; knots: the shared output basis (KnOTS); "
            "core: the shared singular bases of both sides (Core Space). The last two lose nothing "
            "at the sum of the ranks and take milliseconds.",
        ),
        zh=(
            "坐标",
            "dense：权重矩阵本身（论文原法）；knots：共享的输出基（KnOTS）；"
            "core：两侧共享的奇异基（Core Space）。后两者在各秩之和处无损，且只需毫秒。",
        ),
    )


class Drawn(Sparse):
    """An elementwise method that drops elements at random."""

    seed: int = parameter(
        0,
        en=("Seed", "Of the draws; with the same files and seed the same elements are dropped."),
        zh=("随机种子", "文件与种子相同则丢弃的元素相同。"),
        group="advanced",
        ge=0,
        le=2**31 - 1,
    )
