"""What every fusion of one base's adapters does first: open them and list their modules."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from shared.errors import UnsupportedAdapter, WrongBase, WrongCount, both
from shared.orders import BaseFiles, WorkOrder
from shared.specs.fusion.same_base import SameBase
from worker.fusion.base_weights import BaseWeights
from worker.fusion.canonical import Accepts, CanonicalAdapter, natural
from worker.fusion.layout import RelaidAdapter, pieces
from worker.reporting import Report
from worker.skeletons import linear_shapes

#: How many modules a message names.
_LISTED = 3


def open_donors(
    order: WorkOrder, report: Report, params: SameBase | None = None
) -> list[CanonicalAdapter]:
    """The order's adapters, all of the base that the fused adapter will belong to.

    With `params` also what plain factors cannot hold, as far as they allow it. Raises WrongBase,
    WrongCount, UnsupportedAdapter.
    """
    report.phase("reading adapters")
    if not order.adapters:
        raise WrongCount(method="fuse", wanted="at least one adapter", given=0)
    wanted = order.base or order.adapters[0].base
    for donor in order.adapters:
        if donor.base.fingerprint != wanted.fingerprint:
            raise WrongBase(adapter=donor.name, trained_on=donor.base.name, wanted=wanted.name)
    accepts = _accepts(params, wanted) if params else None
    donors = [CanonicalAdapter(donor.name, donor.folder, accepts) for donor in order.adapters]
    donors = _placed(donors, wanted, report)
    for donor in donors:
        if donor.fan_in_fan_out != donors[0].fan_in_fan_out:
            problem = both(
                f"fan_in_fan_out differs from that of {donors[0].name}",
                f"fan_in_fan_out 与 {donors[0].name} 的不同",
            )
            raise UnsupportedAdapter(adapter=donor.name, problem=problem)
    return donors


def _accepts(params: SameBase, base: BaseFiles) -> Accepts:
    return Accepts(
        base=BaseWeights(base),
        dora_rank=params.dora_rank,
        biases=params.profile == "peft",
        saved=params.saved_modules != "refuse",
    )


def _placed(
    donors: Sequence[CanonicalAdapter], base: BaseFiles, report: Report
) -> list[CanonicalAdapter]:
    """The donors under the names of the base's modules, fused or split as these are.

    Raises UnsupportedAdapter for modules that the base does not have, or in other sizes.
    """
    if not (Path(base.location) / "config.json").is_file():
        report.log(
            both(
                f"{base.name} is not on this machine: modules are not compared with it",
                f"本机没有 {base.name}：未与其模块核对",
            )
        )
        return list(donors)
    places = linear_shapes(base)
    placed = [_laid_out(donor, places, report) for donor in donors]
    for donor in placed:
        _check_places(donor, places, base)
    return placed


def _laid_out(
    donor: CanonicalAdapter, places: Mapping[str, tuple[int, int]], report: Report
) -> CanonicalAdapter:
    if not pieces(donor.modules, places):
        return donor
    if donor.config.get("use_dora"):
        problem = both(
            "DoRA adapters whose projections are fused otherwise than the base's cannot be "
            "converted",
            "投影融合方式与底座不同的 DoRA 适配器无法转换",
        )
        raise UnsupportedAdapter(adapter=donor.name, problem=problem)
    relaid = RelaidAdapter(donor, places)
    report.log(
        both(
            f"{donor.name}: projections laid out as the base's, exactly",
            f"{donor.name}：投影已精确改为底座的布局",
        )
    )
    return relaid


def _check_places(
    donor: CanonicalAdapter, places: Mapping[str, tuple[int, int]], base: BaseFiles
) -> None:
    wrong = [
        f"{name} {'x'.join(map(str, module.shape))}"
        for name, module in donor.modules.items()
        if places.get(name) != module.shape
    ]
    if wrong:
        some = ", ".join(wrong[:_LISTED]) + (", …" if len(wrong) > _LISTED else "")
        problem = both(
            f"{len(wrong)} of its {len(donor.modules)} modules do not exist in {base.name} "
            f"with that size ({some}); it was made for another base or another layout",
            f"它的 {len(donor.modules)} 个模块中有 {len(wrong)} 个在 {base.name} 中不存在或大小不同"
            f"（{some}）；它属于其他底座或其他布局",
        )
        raise UnsupportedAdapter(adapter=donor.name, problem=problem)


def modules_of(donors: Sequence[CanonicalAdapter]) -> list[str]:
    """Every module that one of them adapts, in the order of the model."""
    return sorted({module for donor in donors for module in donor.modules}, key=natural)
