"""What this machine has to run jobs on, asked without touching CUDA in this process."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from typing import Any

from shared.config import settings

#: The driver and other processes keep the rest.
_USABLE = 0.95
_QUERY = "index,uuid,name,memory.total"


@dataclass(frozen=True)
class Devices:
    """The GPUs, or `cpu_slots` slots of the CPU."""

    device: str
    #: MiB that jobs may use of each card, or a slot's part of the machine's memory.
    cards: list[int]
    #: What holds a card against every other pool on this machine: its UUID, or the slot's name.
    names: list[str]
    info: dict[str, Any]


def find_devices() -> Devices:
    """The GPUs that nvidia-smi lists, else the CPU."""
    gpus = _gpus()
    info: dict[str, Any] = {"cores": os.cpu_count() or 1}
    if gpus:
        cards = [int(float(gpu["memory.total"]) * _USABLE) for gpu in gpus]
        return Devices("cuda", cards, [gpu["uuid"] for gpu in gpus], info | {"gpus": gpus})
    slots = settings().cpu_slots
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    names = [f"{settings().host_name}-{slot}" for slot in range(slots)]
    return Devices("cpu", [memory // slots] * slots, names, info)


def use_of_cards() -> dict[int, float]:
    """Per cent of the last moment in which each GPU computed, by its index.

    A card that does not say so is left out; every card is, where the driver does not answer.
    """
    try:
        rows = _asked("index,utilization.gpu")
    except subprocess.TimeoutExpired:
        return {}
    said = ((row["index"], row["utilization.gpu"]) for row in rows)
    return {int(index): float(use) for index, use in said if use.replace(".", "").isdigit()}


def _gpus() -> list[dict[str, str]]:
    return _asked(_QUERY)


def _asked(query: str) -> list[dict[str, str]]:
    """What nvidia-smi says of every GPU; nothing where there is none."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    asked = subprocess.run(
        [program, f"--query-gpu={query}", "--format=csv,noheader,nounits"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    if asked.returncode != 0:
        return []
    names = query.split(",")
    rows = [line.split(", ") for line in asked.stdout.splitlines() if line.strip()]
    return [dict(zip(names, row, strict=True)) for row in rows if len(row) == len(names)]
