"""The arms of the transfer study that move or draw weights: no training, so one piece does all."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import transfer_arms as arms
from benchmarks.transfer_arms import Made, Setting
from shared.errors import NoOp
from shared.orders import AdapterFiles, BaseFiles


def by_weights(
    setting: Setting,
    donor: AdapterFiles,
    host: BaseFiles,
    folder: Path,
    *,
    across: bool,
    draws: int,
) -> dict[str, Made]:
    """Every arm by name; `across` adds the seed's swap, which needs bases of two families.

    The random control is drawn `draws` times, to be averaged item by item.
    """
    texts = {"dataset": setting.files["train"].name}
    copy = {"method": "copy", "resize": "pad"}
    turned = arms.shuffled_layers(donor, folder / "turned", setting.seed)
    wanted: dict[str, tuple[dict[str, Any], AdapterFiles]] = {
        "copy": (copy, donor),
        "Cross-LoRA": ({"method": "cross_lora", "seed": setting.seed}, donor),
        "ProLoRA": ({"method": "pro_lora"}, donor),
        "Procrustes": ({"method": "procrustes"} | texts, donor),
        "ridge": ({"method": "ridge"} | texts, donor),
        "control: layers shuffled, copied": (copy, turned),
        "control: layers shuffled": ({"method": "procrustes"} | texts, turned),
    }
    made = {
        name: _tried(lambda name=name, params=params, source=source: arms.moved(
            setting, params, source, host, folder / str(list(wanted).index(name))
        ))
        for name, (params, source) in wanted.items()
    }  # fmt: skip
    copied, carried = made["copy"].folder, made["Procrustes"].folder
    if copied is not None:
        for draw in range(draws):
            seed = setting.seed * draws + draw
            where = folder / f"random{draw}"
            made[f"control: random, same norm#{draw}"] = arms.random_like(copied, where, seed)
    if carried is not None:
        where = folder / "maps"
        made["control: random maps"] = arms.random_like(carried, where, setting.seed, spectrum=True)
    if across:
        change = arms.seed_swap(donor, host, setting.device)
        made["seed swap"] = Made(None, 0.0, why=f"largest change of a logit: {change}")
    return made


def _tried(work: Callable[[], Made]) -> Made:
    """What was made, or why nothing was."""
    began = time.perf_counter()
    try:
        return work()
    except NoOp as nothing:
        return Made(None, (time.perf_counter() - began) / 60, why=str(nothing))
