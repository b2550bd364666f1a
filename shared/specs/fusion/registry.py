"""Every fusion method's parameters class by name, found in the files of this folder."""

import pkgutil
from importlib import import_module
from pathlib import Path

from shared.specs.fusion.method import FusionParameters, Transfer


def _children(cls: type[FusionParameters]) -> list[type[FusionParameters]]:
    return [cls] + [found for child in cls.__subclasses__() for found in _children(child)]


def _declared() -> dict[str, type[FusionParameters]]:
    """Methods on one base first, the plain weighted sum before all; then the transfers."""
    for module in pkgutil.iter_modules([str(Path(__file__).parent)]):
        if module.name != "registry":
            import_module(f"{__package__}.{module.name}")
    named = {
        cls.model_fields["method"].default: cls
        for cls in _children(FusionParameters)
        if not cls.model_fields["method"].is_required()
    }
    order = sorted(named, key=lambda name: (issubclass(named[name], Transfer), name))
    return {name: named[name] for name in sorted(order, key=lambda name: name != "weighted_sum")}


FUSION_METHODS = _declared()
#: Methods that move one adapter to another base; the others stay on theirs.
TRANSFERS = (Transfer,)
