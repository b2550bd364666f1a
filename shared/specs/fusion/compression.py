"""The parameters of methods whose result has a small rank by construction."""

from typing import Literal

from shared.specs.fusion.method import Words
from shared.specs.fusion.same_base import Scaled, Weighted
from shared.specs.parameters import parameter


class CompressThenMerge(Scaled, Weighted):
    """Compress-then-Merge by Tucker-2 (arXiv 2606.03723)."""

    title = Words(en="Compress-then-Merge", zh="先压缩再合并")
    summary = Words(
        en="Finds the bases of the wanted rank that all adapters share best, and merges in them. "
        "Output rank 0 takes the largest rank of the adapters.",
        zh="先求所有适配器共享最好的、指定秩的基，再在其中合并。输出秩 0 表示取各适配器中最大的秩。",
    )
    method: Literal["compress_then_merge"] = "compress_then_merge"
    blend: float = parameter(
        0.5,
        en=("Norm blend", "0: strong adapters shape the bases more; 1: all count the same."),
        zh=("范数混合", "0：强的适配器对基的影响更大；1：一视同仁。"),
        ge=0,
        le=1,
    )
    rule: Literal["mean", "ties"] = parameter(
        "mean",
        en=("Rule", "How the compressed updates are merged."),
        zh=("规则", "压缩后的更新量如何合并。"),
    )
    density: float = parameter(
        1.0,
        en=("Density", "Share of the elements that the rule ties keeps."),
        zh=("保留比例", "规则 ties 保留的元素比例。"),
        gt=0,
        le=1,
    )


class LoraLego(Scaled):
    """LoRA-LEGO (Zhao et al. 2025, arXiv 2409.16167), on canonical rank-1 units."""

    title = Words(en="LoRA-LEGO", zh="LoRA-LEGO 拼装")
    summary = Words(
        en="Takes the adapters apart into rank-1 units, groups like ones, and builds one adapter "
        "from the groups' means. Output rank 0 takes the largest rank of the adapters.",
        zh="把适配器拆成秩一单元，将相似者聚成一组，用各组均值拼成新适配器。"
        "输出秩 0 表示取各适配器中最大的秩。",
    )
    method: Literal["lora_lego"] = "lora_lego"
