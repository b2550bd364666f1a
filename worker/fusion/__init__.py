"""The fusion engine: adapters in, one adapter out, by the method that the spec names."""

from collections.abc import Callable
from typing import Any

from shared.orders import WorkOrder
from shared.specs import Copy, FusionSpec, Refresh, WeightedSum
from shared.specs.base import Spec
from worker.checkpoints import write_facts
from worker.fusion.copy import copy
from worker.fusion.inheritance import inherited
from worker.fusion.refresh import refresh
from worker.fusion.weighted_sum import weighted_sum
from worker.reporting import AdapterResult, Report

#: One function for each parameters class of `shared.specs.FUSION_METHODS`.
METHODS: dict[type[Spec], Callable[[WorkOrder, Any, Report], AdapterResult]] = {
    WeightedSum: weighted_sum,
    Copy: copy,
    Refresh: refresh,
}


def fuse(order: WorkOrder, report: Report) -> AdapterResult:
    """Run the fusion of the order; the adapter is in `order.out`, ready for plain PEFT.

    Raises NoOp when the result would change nothing, WrongBase, UnsupportedAdapter, and Stopped
    when the report asks to stop.
    """
    if not isinstance(order.spec, FusionSpec):
        raise TypeError(f"fuse needs a FusionSpec, not {type(order.spec).__name__}")
    params = order.spec.params
    made = METHODS[type(params)](order, params, report)
    made.facts = {
        "method": params.method,
        "rank": made.rank,
        **(
            {"base": order.base.name, "base_fingerprint": order.base.fingerprint}
            if order.base
            else {}
        ),
        **inherited(order.adapters),
        **made.facts,
    }
    write_facts(made.folder, made.facts)
    return made
