"""The parameters of averages whose coefficients follow from the adapters' angles."""

from typing import Literal

from shared.specs.fusion.method import Words
from shared.specs.fusion.same_base import Scaled, Weighted


class ModelStock(Scaled):
    """Model Stock (Jang et al. 2024, arXiv 2403.19522)."""

    title = Words(en="Model Stock", zh="Model Stock 平均")
    summary = Words(
        en="The mean of the adapters, shrunk the more the less they agree.",
        zh="各适配器的平均，一致性越低则收缩越多。",
    )
    method: Literal["model_stock"] = "model_stock"


class Slerp(Scaled, Weighted):
    """Spherical average of updates (Shoemake 1985; for several, Buss and Fillmore 2001)."""

    title = Words(en="SLERP", zh="SLERP 球面平均")
    summary = Words(
        en="The mean direction on the sphere with the mean length; for two adapters, spherical "
        "linear interpolation.",
        zh="球面上的平均方向配以平均长度；两个适配器时即球面线性插值。",
    )
    method: Literal["slerp"] = "slerp"
