"""The three engines on a CUDA device: the same folders and, in fp32, the same numbers as a CPU."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from shared.memory import training_bytes
from shared.orders import AdapterFiles, BaseFiles, DataFile, WorkOrder
from shared.specs import TrainingSpec, parse_spec
from shared.storage import file_sha256
from tiny_bases import make_llama
from worker.evaluation import evaluate
from worker.fusion import fuse
from worker.reporting import Silent
from worker.training import train
from worker.training.room import sizes_of

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
ROWS = [{"instruction": f"Say {n}", "output": f"{n} it is", "input": ""} for n in range(32)]
ITEMS = [
    {"id": f"i{n}", "prompt": f"Say {n}", "choices": [f"{n} it is", "no"], "answer": 0,
     "lang": "en"}
    for n in range(8)
]  # fmt: skip


def base(folder: Path) -> BaseFiles:
    return BaseFiles(name=folder.name, location=str(folder), fingerprint=folder.name)


def data(path: Path, rows: list[dict[str, Any]]) -> DataFile:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return DataFile(name=path.stem, path=path, sha256=file_sha256(path))


def order(folder: Path, device: str, spec: dict[str, Any], **inputs: Any) -> WorkOrder:
    made = WorkOrder(
        job_id="j", epoch=1, spec=parse_spec(spec), folder=folder, device=device, **inputs
    )
    made.out.mkdir(parents=True)
    return made


def trained(
    folder: Path, model: Path, device: str, precision: str, **more: Any
) -> tuple[Path, Silent]:
    spec = {
        "kind": "train", "name": "t", "base_model": "b", "dataset": "rows", "rank": 4,
        "max_steps": 6, "batch_size": 8, "precision": precision, "learning_rate": 1e-3, **more,
    }  # fmt: skip
    folder.mkdir()
    report = Silent()
    rows = data(folder / "rows.jsonl", ROWS)
    train(order(folder / "a", device, spec, base=base(model), dataset=rows), report)
    return folder / "a" / "out", report


def losses(report: Silent) -> list[float]:
    return [values["loss"] for _, values in report.steps]


TUNINGS: dict[str, dict[str, Any]] = {
    "lora": {},
    "lora, layers twice": {"recompute": "on"},
    "prefix": {"tuning": "prefix", "learning_rate": 0.1},
    "full": {"tuning": "full"},
    "full, layers twice": {"tuning": "full", "recompute": "on"},
}


@pytest.mark.parametrize("tuning", TUNINGS)
@pytest.mark.parametrize("kind", ["tiny_llama", "tiny_glm"])
def test_training_on_the_gpu_follows_the_cpus_losses(
    kind: str, tuning: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    model, more = request.getfixturevalue(kind), TUNINGS[tuning]
    _, on_cpu = trained(tmp_path / "cpu", model, "cpu", "fp32", **more)
    _, on_gpu = trained(tmp_path / "gpu", model, "cuda", "fp32", **more)
    assert losses(on_gpu) == pytest.approx(losses(on_cpu), rel=2e-3)
    _, in_bf16 = trained(tmp_path / "bf16", model, "cuda", "auto", **more)
    assert losses(in_bf16) == pytest.approx(losses(on_cpu), rel=5e-2)


@pytest.mark.parametrize("compiled", [False, True])
def test_a_base_in_8_bit_floats_learns_nearly_the_same(
    compiled: bool, tmp_path: Path, tiny_llama: Path
) -> None:
    if torch.cuda.get_device_capability() < (8, 9):
        pytest.skip("needs a card with 8-bit floats")
    _, whole = trained(tmp_path / "bf16", tiny_llama, "cuda", "bf16")
    _, eight = trained(
        tmp_path / "fp8", tiny_llama, "cuda", "bf16", base_bits="fp8", compiled=compiled
    )
    assert losses(eight) != losses(whole)
    assert losses(eight) == pytest.approx(losses(whole), rel=3e-2)


def test_full_fine_tuning_takes_what_was_predicted_and_no_more(tmp_path: Path) -> None:
    """A LLaMA of 27 million weights: they, their gradients and moments are most of it."""
    model = make_llama(
        tmp_path / "base", hidden_size=512, intermediate_size=1376, num_hidden_layers=8
    )
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    _, report = trained(tmp_path / "t", model, "cuda", "auto", tuning="full", batch_size=1)
    taken = report.steps[-1][1]["gpu_memory_mb"] * 2**20
    sizes = sizes_of(model)
    assert sizes is not None
    values = {"name": "t", "base_model": "b", "dataset": "d", "tuning": "full", "batch_size": 1}
    spec = TrainingSpec.model_validate(values | {"objective": "sft"})
    assert 0.6 < taken / training_bytes(spec, sizes) <= 1.0


@pytest.mark.parametrize("tuning", ["lora", "prefix", "full"])
def test_evaluation_on_the_gpu_gives_the_cpus_scores(
    tuning: str, tmp_path: Path, tiny_llama: Path
) -> None:
    folder, _ = trained(tmp_path / "t", tiny_llama, "cuda", "fp32", **TUNINGS[tuning])
    adapter = AdapterFiles(name="t", folder=folder, base=base(tiny_llama))
    spec = {
        "kind": "evaluate", "name": "e", "base_model": "b", "adapters": ["t"],
        "benchmarks": ["items"], "precision": "fp32",
    }  # fmt: skip
    margins = []
    for device in ("cpu", "cuda"):
        items = data(tmp_path / "items.jsonl", ITEMS)
        made = evaluate(
            order(
                tmp_path / device, device, spec, base=base(tiny_llama), adapters=[adapter],
                benchmarks=[items],
            ),
            Silent(),
        )  # fmt: skip
        margins.append([item.values["margin"] for part in made.parts for item in part.items])
    assert margins[1] == pytest.approx(margins[0], abs=1e-3)


def test_a_transfer_on_the_gpu_publishes_an_adapter_of_the_host(
    tmp_path: Path, tiny_llama: Path, tiny_glm: Path
) -> None:
    folder, _ = trained(tmp_path / "t", tiny_llama, "cuda", "auto")
    donor = AdapterFiles(
        name="t", folder=folder, base=base(tiny_llama), facts={"template": "alpaca-en"}
    )
    params = {"method": "weighted_sum", "rank": 2}
    fused = fuse(
        order(
            tmp_path / "sum", "cuda",
            {"kind": "fuse", "name": "f", "adapters": ["t"], "params": params},
            base=base(tiny_llama), adapters=[donor],
        ),
        Silent(),
    )  # fmt: skip
    assert fused.rank == 2
    spec = {
        "kind": "fuse", "name": "r", "adapters": ["t"], "host_base": "g",
        "params": {"method": "copy", "resize": "pad"},
    }  # fmt: skip
    copied = fuse(
        order(tmp_path / "copy", "cuda", spec, base=base(tiny_glm), adapters=[donor]), Silent()
    )
    assert (copied.folder / "adapter_model.safetensors").exists()
