"""The parameters of elementwise methods: which elements each keeps, and how signs are settled."""

from typing import Literal

from shared.specs.fusion.method import Words
from shared.specs.fusion.same_base import Drawn, Sparse, Weighted
from shared.specs.parameters import parameter

#: Whose elements count where signs differ.
Election = Literal["sum", "count"]


def _election() -> Election:
    return parameter(
        "sum",
        en=("Sign by", "sum: the sign of the larger mass; count: that of more adapters."),
        zh=("符号取法", "sum：质量较大一方的符号；count：多数适配器的符号。"),
        group="advanced",
    )


class Ties(Sparse, Weighted):
    """TIES (Yadav et al. 2023, arXiv 2306.01708)."""

    title = Words(en="TIES", zh="TIES 合并")
    summary = Words(
        en="Keeps each adapter's largest elements, elects a sign for each place and averages those "
        "that agree with it.",
        zh="保留各适配器最大的元素，逐位选出符号，再对符号一致者取平均。",
    )
    method: Literal["ties"] = "ties"
    election: Election = _election()


class Dare(Drawn, Weighted):
    """DARE (Yu et al. 2024, arXiv 2311.03099)."""

    title = Words(en="DARE", zh="DARE 合并")
    summary = Words(
        en="Drops elements at random, enlarges the rest to make up for it, and sums.",
        zh="随机丢弃元素并放大其余元素以作补偿，然后求和。",
    )
    method: Literal["dare"] = "dare"


class DareTies(Drawn, Weighted):
    """DARE, then the sign election and mean of TIES (arXiv 2311.03099, 2306.01708)."""

    title = Words(en="DARE-TIES", zh="DARE-TIES 合并")
    summary = Words(
        en="Drops elements at random as DARE does, then settles signs as TIES does.",
        zh="先按 DARE 随机丢弃，再按 TIES 统一符号。",
    )
    method: Literal["dare_ties"] = "dare_ties"
    election: Election = _election()


class Della(Drawn, Weighted):
    """DELLA (Deep et al. 2024, arXiv 2406.11617)."""

    title = Words(en="DELLA", zh="DELLA 合并")
    summary = Words(
        en="Drops small elements more often than large ones of the same row, enlarges the rest to "
        "make up for it, then settles signs.",
        zh="同一行内越小的元素越常被丢弃，其余放大补偿，再统一符号。",
    )
    method: Literal["della"] = "della"
    epsilon: float = parameter(
        0.1,
        en=("Epsilon", "The chance to be kept goes from density - epsilon to density + epsilon."),
        zh=("Epsilon", "保留概率从 density - epsilon 到 density + epsilon。"),
        ge=0,
        lt=1,
    )
    election: Literal["sum", "count", "none"] = parameter(
        "sum",
        en=("Sign by", "sum: the larger mass; count: more adapters; none: no election."),
        zh=("符号取法", "sum：质量较大一方；count：多数适配器；none：不选举。"),
        group="advanced",
    )


class Breadcrumbs(Sparse, Weighted):
    """Model Breadcrumbs (Davari and Belilovsky 2024, arXiv 2312.06795)."""

    title = Words(en="Breadcrumbs", zh="Breadcrumbs 面包屑")
    summary = Words(
        en="Leaves out each adapter's smallest elements and its few largest, and sums the rest.",
        zh="去掉各适配器最小的和极少数最大的元素，其余求和。",
    )
    method: Literal["breadcrumbs"] = "breadcrumbs"
    outliers: float = parameter(
        0.01,
        en=("Outliers", "Share of the largest elements that is left out."),
        zh=("离群比例", "去掉的最大元素所占比例。"),
        ge=0,
        lt=1,
    )
    election: Literal["none", "sum", "count"] = parameter(
        "none",
        en=("Sign by", "none as published; sum or count settle signs as TIES does."),
        zh=("符号取法", "none 为论文原法；sum 或 count 按 TIES 统一符号。"),
        group="advanced",
    )


class MagnitudePrune(Sparse, Weighted):
    """The largest elements of each update, summed (PEFT's magnitude_prune, on ΔW itself)."""

    title = Words(en="magnitude prune", zh="幅值剪枝")
    summary = Words(
        en="Keeps each adapter's largest elements and sums them.",
        zh="保留各适配器最大的元素并求和。",
    )
    method: Literal["magnitude_prune"] = "magnitude_prune"


class Sce(Sparse):
    """SCE (Wan et al. 2024, FuseChat-3.0, arXiv 2408.07990)."""

    title = Words(en="SCE", zh="SCE 合并")
    summary = Words(
        en="Keeps the places where the adapters differ most, weighs each adapter by its energy "
        "there, and erases the minority's signs.",
        zh="保留各适配器差异最大的位置，按其能量加权，并抹去少数方的符号。",
    )
    method: Literal["sce"] = "sce"
