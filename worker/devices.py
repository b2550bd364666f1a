"""What this machine has to run jobs on, asked without touching CUDA in this process."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from typing import Any

from shared.config import settings

_QUERY = "index,uuid,name,memory.total"


@dataclass(frozen=True)
class Devices:
    """One slot a GPU, or `cpu_slots` slots of the CPU."""

    device: str
    slots: int
    info: dict[str, Any]


def find_devices() -> Devices:
    """The GPUs that nvidia-smi lists, else the CPU."""
    gpus = _gpus()
    info: dict[str, Any] = {"cores": os.cpu_count() or 1}
    if gpus:
        return Devices("cuda", len(gpus), info | {"gpus": gpus})
    return Devices("cpu", settings().cpu_slots, info)


def _gpus() -> list[dict[str, str]]:
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    asked = subprocess.run(
        [program, f"--query-gpu={_QUERY}", "--format=csv,noheader,nounits"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    if asked.returncode != 0:
        return []
    names = _QUERY.split(",")
    rows = [line.split(", ") for line in asked.stdout.splitlines() if line.strip()]
    return [dict(zip(names, row, strict=True)) for row in rows if len(row) == len(names)]
