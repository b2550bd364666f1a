"""What becomes of whole modules that adapters brought along (modules_to_save), never silently."""

from collections.abc import Iterator, Sequence
from typing import Any

from torch import Tensor

from shared.errors import InvalidSpec, UnsupportedAdapter, both
from shared.specs.fusion.same_base import SameBase
from worker.fusion.canonical import CanonicalAdapter


class SavedModules:
    """The saved parameters of the fused adapter, one at a time, and where they came from."""

    def __init__(
        self, donors: Sequence[CanonicalAdapter], weights: Sequence[float], params: SameBase
    ) -> None:
        """Raises InvalidSpec for an unknown `saved_from`, UnsupportedAdapter for vllm."""
        self._shares = {donor.name: share for donor, share in zip(donors, weights, strict=True)}
        self._donors = {donor.name: donor for donor in donors if donor.saved}
        if params.saved_modules == "pick":
            if params.saved_from not in self._shares:
                known = ", ".join(self._shares)
                problem = both(
                    f"pick needs one of the adapters: {known} (given: {params.saved_from!r})",
                    f"pick 需要指明其中一个适配器：{known}（给出的是 {params.saved_from!r}）",
                )
                raise InvalidSpec(field="saved_from", problem=problem)
            picked = self._donors.get(params.saved_from)
            self._donors = {picked.name: picked} if picked else {}
        if self._donors and params.profile == "vllm":
            problem = both(
                "the vllm profile has no place for modules_to_save",
                "vllm 格式容不下 modules_to_save",
            )
            raise UnsupportedAdapter(adapter=next(iter(self._donors)), problem=problem)
        self._names: dict[str, None] = dict.fromkeys(
            name for donor in self._donors.values() for name in donor.saved
        )

    @property
    def modules(self) -> list[str]:
        """The saved modules' names, for the adapter's configuration."""
        return list(dict.fromkeys(name.rsplit(".", 1)[0] for name in self._names))

    @property
    def names(self) -> list[str]:
        """The saved parameters' names."""
        return list(self._names)

    def parameters(self) -> Iterator[tuple[str, Tensor]]:
        """Each parameter: Σ w_t·X_t / Σ w_t over the adapters that saved it.

        Raises UnsupportedAdapter where their shapes differ or their weights sum to zero.
        """
        for name in self._names:
            owners = [donor for donor in self._donors.values() if name in donor.saved]
            for donor in owners:
                if donor.saved[name] != owners[0].saved[name]:
                    problem = both(
                        f"its {name} has another shape than that of {owners[0].name}",
                        f"它的 {name} 与 {owners[0].name} 的形状不同",
                    )
                    raise UnsupportedAdapter(adapter=donor.name, problem=problem)
            if len(owners) == 1:
                yield name, owners[0].saved_parameter(name)
                continue
            whole = sum(self._shares[donor.name] for donor in owners)
            if abs(whole) < 1e-12:
                problem = both(
                    f"the weights of those who saved {name} sum to zero: no average",
                    f"保存了 {name} 的各适配器权重之和为零，无法平均",
                )
                raise UnsupportedAdapter(adapter=owners[0].name, problem=problem)
            parts = (
                donor.saved_parameter(name) * (self._shares[donor.name] / whole) for donor in owners
            )
            yield name, sum(parts, start=0 * owners[0].saved_parameter(name))

    def facts(self) -> dict[str, Any]:
        """Whose modules each one is made of."""
        return {
            name: [donor.name for donor in self._donors.values() if name in donor.saved]
            for name in self._names
        }
