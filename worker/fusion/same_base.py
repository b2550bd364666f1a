"""What every fusion of one base's adapters does first: open them and list their modules."""

from collections.abc import Sequence

from shared.errors import UnsupportedAdapter, WrongBase, WrongCount
from shared.orders import WorkOrder
from worker.fusion.canonical import CanonicalAdapter, natural
from worker.reporting import Report


def open_donors(order: WorkOrder, report: Report) -> list[CanonicalAdapter]:
    """The order's adapters, all of the base that the fused adapter will belong to.

    Raises WrongBase, WrongCount, UnsupportedAdapter.
    """
    report.phase("reading adapters")
    if not order.adapters:
        raise WrongCount(method="fuse", wanted="at least one adapter", given=0)
    wanted = order.base or order.adapters[0].base
    for donor in order.adapters:
        if donor.base.fingerprint != wanted.fingerprint:
            raise WrongBase(adapter=donor.name, trained_on=donor.base.name, wanted=wanted.name)
    donors = [CanonicalAdapter(donor.name, donor.folder) for donor in order.adapters]
    for donor in donors:
        if donor.fan_in_fan_out != donors[0].fan_in_fan_out:
            problem = f"fan_in_fan_out differs from that of {donors[0].name}"
            raise UnsupportedAdapter(adapter=donor.name, problem=problem)
    return donors


def modules_of(donors: Sequence[CanonicalAdapter]) -> list[str]:
    """Every module that one of them adapts, in the order of the model."""
    return sorted({module for donor in donors for module in donor.modules}, key=natural)
