"""A training on two GPUs, which talk through NCCL, follows the losses of a training on one."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from orders_of import order_for
from shared.orders import WorkOrder

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA devices"),
]
#: As a worker runs it: this process has used CUDA, which no fork survives.
RUNNER = """
import os, sys
from worker.runner import preload, run
preload()
events = os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
sys.exit(run(sys.argv[1], events))
"""
KINDS: dict[str, dict[str, Any]] = {
    "lora": {"micro_batch_size": 2},
    "lora, spread": {"micro_batch_size": 2, "spread": "on"},
    "prefix": {"tuning": "prefix", "learning_rate": 0.1},
    "full": {"tuning": "full"},
}


def said(order: WorkOrder) -> list[dict[str, Any]]:
    """What a runner says of an order."""
    path, events = order.folder.with_suffix(".json"), order.folder.with_suffix(".jsonl")
    path.write_text(order.model_dump_json())
    environment = os.environ | {"NCCL_NVLS_ENABLE": "0"}
    done = subprocess.run(
        [sys.executable, "-c", RUNNER, str(path), str(events)],
        env=environment, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    found = [json.loads(line) for line in events.read_text().splitlines()]
    assert found[-1]["type"] == "result", (found[-1], done.stderr)
    return found


def losses(order: WorkOrder) -> list[float]:
    return [event["values"]["loss"] for event in said(order) if event["type"] == "metrics"]


@pytest.mark.parametrize("kind", KINDS)
def test_two_gpus_have_the_losses_of_one(kind: str, tiny_llama: Path, tmp_path: Path) -> None:
    values = {"max_steps": 20, "batch_size": 5, "precision": "fp32"} | KINDS[kind]
    one = order_for(tiny_llama, tmp_path / "one", **values).model_copy(update={"device": "cuda"})
    two = order_for(tiny_llama, tmp_path / "two", **values)
    two = two.model_copy(update={"device": "cuda", "cards": 2})
    assert losses(two) == pytest.approx(losses(one), rel=1e-4)
