"""The parameters of methods that work on singular values and directions."""

from typing import Literal

from shared.specs.fusion.method import Words
from shared.specs.fusion.same_base import Scaled, Weighted
from shared.specs.parameters import parameter


class TsvMerge(Scaled, Weighted):
    """TSV-Merge (Gargiulo et al. 2025, arXiv 2412.00081)."""

    title = Words(en="TSV-M", zh="TSV-M 合并")
    summary = Words(
        en="Makes the singular directions of all adapters orthogonal to each other, so that they "
        "disturb each other least, and keeps their singular values.",
        zh="把各适配器的奇异方向两两正交化以减少干扰，奇异值不变。",
    )
    method: Literal["tsv_m"] = "tsv_m"
    keep: float = parameter(
        1.0,
        en=("Directions kept", "Share of each adapter's singular directions, largest first."),
        zh=("保留方向", "每个适配器保留的奇异方向比例，从大到小。"),
        gt=0,
        le=1,
    )


class IsoC(Scaled, Weighted):
    """Iso-C (Marczak et al. 2025, arXiv 2502.04959), in core space."""

    title = Words(en="Iso-C", zh="Iso-C 合并")
    summary = Words(
        en="Sums the adapters and gives all directions of the sum the same strength.",
        zh="求和后让和的所有方向强度相同。",
    )
    method: Literal["iso_c"] = "iso_c"


class IsoCts(Scaled, Weighted):
    """Iso-CTS (Marczak et al. 2025, arXiv 2502.04959), in core space."""

    title = Words(en="Iso-CTS", zh="Iso-CTS 合并")
    summary = Words(
        en="As Iso-C, with a share of the directions reserved for what each adapter has alone.",
        zh="同 Iso-C，但为各适配器独有的部分保留一定比例的方向。",
    )
    method: Literal["iso_cts"] = "iso_cts"
    common: float = parameter(
        0.8,
        en=("Common share", "Share of the directions taken from the sum."),
        zh=("公共比例", "取自总和的方向所占比例。"),
        ge=0,
        le=1,
    )
