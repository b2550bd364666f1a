"""What an adapter's folder holds, looked through before anything uses it: refused by name.

Files only, without a GPU and without the base in memory: names and shapes from the tables of
safetensors files, numbers in passing.
"""

import json
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from shared.errors import NoOp, UnsupportedAdapter, both
from shared.families import FAMILIES

WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"
_PREFIX = "base_model.model."
_NAMED = 3
_DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}
Shapes = dict[str, tuple[int, ...]]


def check(
    name: str, folder: Path, base: str, known: Mapping[str, tuple[int, ...]], *, relaid: bool = True
) -> dict[str, Any]:
    """What is known of an adapter folder after looking at all of it.

    `known`: the base's modules and their (out, in), empty for those of other kinds; none at all
    where the base is not on this machine. `relaid`: whether projections may be fused or split
    otherwise than the base's. Raises UnsupportedAdapter for a missing or pickled file, another kind
    than LoRA, factors without their other half, modules or sizes that the base lacks, NaNs; NoOp
    where nothing would change.
    """
    config = config_of(name, folder)
    if (kind := config.get("peft_type")) != "LORA":
        raise UnsupportedAdapter(
            adapter=name, problem=both(f"it is {kind}, not LoRA", f"它是 {kind}，不是 LoRA")
        )
    path = folder / WEIGHTS
    if not path.is_file():
        raise UnsupportedAdapter(adapter=name, problem=_no_weights(folder))
    table, start = tensor_table(name, path)
    shapes = {key: tuple(entry["shape"]) for key, entry in table.items()}
    modules = _modules(name, shapes)
    if known:
        _require_fit(name, base, modules, known, relaid)
    zeros = {key for key, values in tensors(name, path, table, start) if not values.any()}
    # Biases, magnitudes and whole modules have an effect of their own.
    others = [key for key in shapes if not key.endswith((".lora_A", ".lora_B"))]
    if not others and all({f"{m}.lora_A", f"{m}.lora_B"} & zeros for m in modules):
        raise NoOp(
            why=both(
                f'in every module of "{name}" one factor is zero, so no update is left.',
                f"“{name}”的每个模块都有一个因子为零，没有任何更新量。",
            )
        )
    return {
        "rank": max((shape[0][0] for shape in modules.values()), default=0),
        "modules": len(modules),
        "made_for": str(config.get("base_model_name_or_path") or ""),
    }


def config_of(name: str, folder: Path) -> dict[str, Any]:
    """PEFT's config in a folder. Raises UnsupportedAdapter."""
    path = folder / CONFIG
    if not path.is_file():
        problem = both(f"{folder} holds no {CONFIG}", f"{folder} 中没有 {CONFIG}")
        raise UnsupportedAdapter(adapter=name, problem=problem)
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as wrong:
        problem = both(f"{CONFIG} is no JSON: {wrong}", f"{CONFIG} 不是 JSON：{wrong}")
        raise UnsupportedAdapter(adapter=name, problem=problem) from None
    if not isinstance(config, dict):
        problem = both(f"{CONFIG} holds no object", f"{CONFIG} 的内容不是对象")
        raise UnsupportedAdapter(adapter=name, problem=problem)
    return config


def _no_weights(folder: Path) -> Any:
    pickles = sorted(each.name for kind in ("*.bin", "*.pt", "*.pth") for each in folder.glob(kind))
    if pickles:
        return both(
            f"{pickles[0]} is a pickle, which can run code when it is read; save it again as "
            "safetensors",
            f"{pickles[0]} 是 pickle，读取时可能执行代码；请另存为 safetensors",
        )
    return both(f"it holds no {WEIGHTS}", f"其中没有 {WEIGHTS}")


def tensor_table(name: str, path: Path) -> tuple[dict[str, Any], int]:
    """A safetensors file's tensors by key, PEFT's endings cut off; and where the data begin."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(8)
        length = struct.unpack("<Q", head)[0] if len(head) == 8 else 0
        if not 0 < length <= size - 8:
            problem = both(f"{WEIGHTS} is cut short", f"{WEIGHTS} 不完整")
            raise UnsupportedAdapter(adapter=name, problem=problem)
        try:
            table = dict(json.loads(file.read(length)))
        except (ValueError, TypeError) as wrong:
            problem = both(
                f"the table of {WEIGHTS} cannot be read ({wrong})",
                f"{WEIGHTS} 的目录无法读取（{wrong}）",
            )
            raise UnsupportedAdapter(adapter=name, problem=problem) from None
    table.pop("__metadata__", None)
    if any(entry["data_offsets"][1] > size - 8 - length for entry in table.values()):
        problem = both(f"{WEIGHTS} is cut short", f"{WEIGHTS} 不完整")
        raise UnsupportedAdapter(adapter=name, problem=problem)
    return {_plain(key): entry for key, entry in table.items()}, 8 + length


def _plain(key: str) -> str:
    return key.removeprefix(_PREFIX).removesuffix(".weight")


def _modules(name: str, shapes: Shapes) -> dict[str, tuple[tuple[int, ...], tuple[int, ...]]]:
    """By module the shapes of A (rank, in) and B (out, rank). Raises UnsupportedAdapter."""
    sides = {side: {k.removesuffix(side) for k in shapes if k.endswith(side)}
             for side in (".lora_A", ".lora_B")}  # fmt: skip
    if not any(".lora_" in key for key in shapes):
        problem = both("it holds no LoRA factors", "其中没有 LoRA 因子")
        raise UnsupportedAdapter(adapter=name, problem=problem)
    if halves := sorted(sides[".lora_A"] ^ sides[".lora_B"]):
        problem = both(
            f"{len(halves)} of its modules have one factor only: {_some(halves)}",
            f"{len(halves)} 个模块只有一个因子：{_some(halves)}",
        )
        raise UnsupportedAdapter(adapter=name, problem=problem)
    return {
        module: (shapes[f"{module}.lora_A"], shapes[f"{module}.lora_B"])
        for module in sorted(sides[".lora_A"])
    }


def weights_of(name: str, location: Path) -> Shapes:
    """A base's weights by module, (out, in); empty where its files are not on this machine."""
    found: Shapes = {}
    for path in sorted(location.glob("*.safetensors")):
        table, _ = tensor_table(name, path)
        found |= {_plain(key): tuple(entry["shape"]) for key, entry in table.items()}
    return found


def _require_fit(
    name: str,
    base: str,
    modules: Mapping[str, Any],
    known: Mapping[str, tuple[int, ...]],
    relaid: bool,
) -> None:
    """Raises UnsupportedAdapter where modules are not the base's, or of other sizes."""
    missing = [
        module
        for module in modules
        if module not in known and not (relaid and _relaid(module, known))
    ]
    sizes = [
        f"{module} ({b[0]}x{a[1]}, {base}: {'x'.join(map(str, known[module]))})"
        for module, (a, b) in modules.items()
        if known.get(module) and {b[0], a[1]} != set(known[module])
    ]
    for wrong, en, zh in (
        (missing, "do not exist in", "不存在于"),
        (sizes, "have other sizes than those of", "与此底座尺寸不同："),
    ):
        if wrong:
            problem = both(
                f"{len(wrong)} of its {len(modules)} modules {en} {base}: {_some(wrong)}; was it "
                "made for another base?",
                f"其 {len(modules)} 个模块中有 {len(wrong)} 个{zh} {base}：{_some(wrong)}；"
                "它是为另一底座制作的吗？",
            )
            raise UnsupportedAdapter(adapter=name, problem=problem)


def _relaid(module: str, known: Mapping[str, tuple[int, ...]]) -> bool:
    """Whether the base holds the same projections fused, or apart, as a fusion lays them out."""
    parent, _, leaf = module.rpartition(".")
    near = {key.rpartition(".")[2] for key in known if key.startswith(f"{parent}.")}
    for family in FAMILIES.values():
        for whole, parts in family.fused.items():
            if (leaf == whole and near.issuperset(parts)) or (leaf in parts and whole in near):
                return True
    return False


def tensors(
    name: str, path: Path, table: Mapping[str, Any], start: int
) -> Iterator[tuple[str, np.ndarray]]:
    """Every tensor in passing, bf16 as its bits. Raises UnsupportedAdapter for NaNs."""
    data = np.memmap(path, np.uint8, "r")
    for key, entry in table.items():
        first, last = (start + offset for offset in entry["data_offsets"])
        kind = entry["dtype"]
        if kind not in _DTYPES:
            problem = both(f"{key} is {kind}", f"{key} 的类型是 {kind}")
            raise UnsupportedAdapter(adapter=name, problem=problem)
        values = np.frombuffer(data[first:last].tobytes(), _DTYPES[kind])
        # A bf16 number whose exponent is all ones is infinite or no number; its sign is no value.
        wild = (values & 0x7F80) == 0x7F80 if kind == "BF16" else ~np.isfinite(values)
        if wild.any():
            problem = both(f"{key} holds NaN or infinite values", f"{key} 含有 NaN 或无穷大")
            raise UnsupportedAdapter(adapter=name, problem=problem)
        yield key, values & 0x7FFF if kind == "BF16" else values


def _some(names: list[str]) -> str:
    more = f", … (+{len(names) - _NAMED})" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
