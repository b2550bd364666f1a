"""What every engine does first: look through its order's adapters, before it loads anything."""

from pathlib import Path

from shared.adapter_files import check
from shared.errors import WrongBase
from shared.orders import BaseFiles, WorkOrder
from shared.specs import FusionSpec
from shared.specs.fusion.method import Transfer
from worker.kinds import kind_of
from worker.prefixes import read_prefix
from worker.reporting import Report
from worker.skeletons import module_shapes, read_config


def look_through(order: WorkOrder, report: Report) -> None:
    """Refuse what could not be used in the end, from files alone and on the CPU.

    Raises WrongBase for an adapter of another base where nothing moves it; UnsupportedAdapter for
    pickles, damaged files, NaNs, half factors, modules or sizes that its base lacks; NoOp for
    an adapter that changes nothing. A model that was trained in full is a base: loading it looks
    through it.
    """
    if not order.adapters:
        return
    report.phase("checking adapters")
    fuses = isinstance(order.spec, FusionSpec)
    moves = isinstance(order.spec, FusionSpec) and isinstance(order.spec.params, Transfer)
    known: dict[str, dict[str, tuple[int, ...]]] = {}
    for donor in order.adapters:
        base = donor.base if moves or order.base is None else order.base
        if donor.base.fingerprint != base.fingerprint:
            raise WrongBase(adapter=donor.name, trained_on=donor.base.name, wanted=base.name)
        kind = "lora" if fuses else kind_of(donor.folder)
        if kind == "prefix":
            read_prefix(donor.folder, read_config(base), donor.name)
        if kind != "lora":
            continue
        if base.location not in known:
            known[base.location] = _modules(base)
        # A fusion lays projections out as the base's; what loads the adapter cannot.
        check(donor.name, donor.folder, base.name, known[base.location], relaid=fuses)


def _modules(base: BaseFiles) -> dict[str, tuple[int, ...]]:
    """None where the base is not on this machine."""
    return module_shapes(base) if (Path(base.location) / "config.json").is_file() else {}
