"""The parameters of WUDI merging."""

from typing import Literal

from shared.specs.fusion.method import Words
from shared.specs.fusion.same_base import Scaled, Weighted


class Wudi(Scaled, Weighted):
    """WUDI merging (Cheng et al. 2025, arXiv 2503.08099), in closed form."""

    title = Words(en="WUDI", zh="WUDI 合并")
    summary = Words(
        en="The update that disturbs each adapter least on the inputs that adapter reacts to, "
        "taken from its own rows. Needs no data.",
        zh="在各适配器自身敏感的输入方向上干扰最小的更新量，由其行空间估计，无需数据。",
    )
    method: Literal["wudi"] = "wudi"
