"""FusionSpec: adapters in, one adapter out, by one of the methods declared in this folder.

A method is a parameters class in a file here, one function in `worker/fusion`, one line in its
METHODS.
"""

from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from shared.specs.base import Name, Spec
from shared.specs.fusion.copy import Copy
from shared.specs.fusion.distil import Distil
from shared.specs.fusion.method import FusionParameters, Transfer
from shared.specs.fusion.refresh import Refresh
from shared.specs.fusion.registry import FUSION_METHODS, TRANSFERS
from shared.specs.fusion.teaching import Learning, Teaching, Texts
from shared.specs.fusion.transport import CrossLora, Procrustes, ProLora, Ridge
from shared.specs.fusion.weighted_sum import WeightedSum
from shared.specs.parameters import parameter

if TYPE_CHECKING:
    # A type checker cannot see what the folder holds.
    FusionMethod = FusionParameters
else:
    FusionMethod = Annotated[reduce(or_, FUSION_METHODS.values()), Field(discriminator="method")]


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


__all__ = [
    "FUSION_METHODS",
    "TRANSFERS",
    "Copy",
    "CrossLora",
    "Distil",
    "FusionMethod",
    "FusionParameters",
    "FusionSpec",
    "Learning",
    "ProLora",
    "Procrustes",
    "Refresh",
    "Ridge",
    "Teaching",
    "Texts",
    "Transfer",
    "WeightedSum",
]  # fmt: skip
