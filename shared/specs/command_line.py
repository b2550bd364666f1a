"""The `graft submit` line that asks for a spec: a flag for each value that is not the default."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from shared.specs import FUSION_METHODS, SPECS
from shared.specs.parameters import Parameter, parameters


def command_line(
    values: Mapping[str, Any], grid: Mapping[str, Sequence[Any]] | None = None, gpus: int = 1
) -> str:  # fmt: skip
    """The command for a spec's values, `kind` among them; values may still be missing.

    A value equal to its default is left out; a list becomes its flag once for each item; a field
    of the grid becomes `--sweep`, and stands besides only where the command asks for it.
    """
    grid = grid or {}
    kind = str(values["kind"])
    words = ["graft", "submit", kind]
    own = parameters(SPECS[kind])
    if kind == "fuse":
        params = values.get("params", {})
        method = params.get("method", "weighted_sum")
        words += ["--method", method, *_flags(parameters(FUSION_METHODS[method]), params, grid)]
    swept = [f"--sweep={name}={','.join(map(_written, some))}" for name, some in grid.items()]
    cards = [f"--gpus={gpus}"] if gpus > 1 else []
    return shlex.join([*words, *_flags(own, values, grid), *swept, *cards])


def _flags(
    declared: list[Parameter], values: Mapping[str, Any], grid: Mapping[str, Sequence[Any]]
) -> Iterator[str]:
    for each in declared:
        value = values.get(each.name)
        varied = each.name in grid and not each.required
        if value is None or value == each.default or varied:
            continue
        for item in value if each.many else [value]:
            # With "=" a value may begin with a dash.
            yield f"{each.flag}={_written(item)}"


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.10g}" if isinstance(value, float) else str(value)
