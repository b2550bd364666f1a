"""What a family is asked for: train, lower the loss, reload, give the same logits, be evaluated."""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from shared.orders import AdapterFiles, BaseFiles, DataFile, WorkOrder
from shared.specs import EvaluationSpec, TrainingSpec
from shared.storage import file_sha256
from worker.checkpoints import attach_adapter, load_base, probe_logits
from worker.evaluation import evaluate
from worker.reporting import Silent
from worker.training import train

ROWS = [
    {"instruction": "Name the capital.", "input": "France", "output": "Paris"},
    {"instruction": "Name the capital.", "input": "Italy", "output": "Rome"},
    {"instruction": "说出首都。", "input": "法国", "output": "巴黎"},
    {"instruction": "Count.", "input": "", "output": "one two"},
]
CHOICES = [
    {"id": "1", "lang": "en", "prompt": "Which?", "choices": ["Paris", "Rome, I say"], "answer": 0},
    {"id": "2", "lang": "zh", "prompt": "哪个？", "choices": ["巴黎", "罗马"], "answer": 0},
]
ASKED = [
    {"id": "1", "lang": "en", "prompt": "Name the capital.", "references": ["Paris"]},
    {"id": "2", "lang": "zh", "prompt": "说出首都。是哪一个？", "references": ["巴黎"]},
]
TEXTS = [{"id": "1", "lang": "en", "context": "The capital is", "continuation": " Paris."}]


@dataclass(frozen=True)
class Outcome:
    """What became of one family; `parameters` counts the adapter's."""

    first_loss: float
    last_loss: float
    #: Largest difference of the probe's logits between our loading of the adapter and PEFT's.
    reload_difference: float
    logit_change: float
    packed_choices: bool
    evaluated: int
    seconds: float

    @property
    def falls(self) -> bool:
        """Whether training lowered the loss."""
        return self.last_loss < self.first_loss

    @property
    def equal(self) -> bool:
        """Whether the adapter, loaded again, gives the trained logits and not the base's."""
        return self.reload_difference <= 1e-5 < self.logit_change


def training(base: Path, folder: Path, device: str = "cpu", **spec: Any) -> WorkOrder:
    """The order to train a base on ROWS."""
    parameters = {
        "name": "adapter", "base_model": "base", "dataset": "rows", "rank": 4, "batch_size": 4,
        "learning_rate": 0.02, "max_length": 512, "precision": "fp32",
    }  # fmt: skip
    return WorkOrder(
        job_id="train", epoch=0, folder=folder / "train", device=device,
        base=BaseFiles(name="base", location=str(base), fingerprint="base"),
        spec=TrainingSpec.model_validate(parameters | spec),
        dataset=_file(folder, "rows", json.dumps(ROWS)),
    )  # fmt: skip


def check(base: Path, folder: Path, *, steps: int = 4, device: str = "cpu") -> Outcome:
    """Train, reload and evaluate a base in a folder. Raises whatever an engine raises."""
    began = time.perf_counter()
    report = Silent()
    order = training(base, folder, device, max_steps=steps)
    files = BaseFiles(name="base", location=str(base), fingerprint="base")
    made = train(order, report)
    losses = [values["loss"] for _, values in report.steps]
    ours = attach_adapter(load_base(files, device, "fp32")[0], made.folder)
    bare: Any = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    bare = bare.eval().to(device)
    without = probe_logits(bare)
    plain = probe_logits(PeftModel.from_pretrained(bare, str(made.folder)).eval())
    found = evaluate(_evaluation(folder, files, made.folder, device), Silent())
    return Outcome(
        first_loss=losses[0],
        last_loss=losses[-1],
        reload_difference=float((probe_logits(ours) - plain).abs().max()),
        logit_change=float((plain - without).abs().max()),
        packed_choices=bool(found.parts[0].engine["packed_choices"]),
        evaluated=sum(len(part.items) for part in found.parts),
        seconds=time.perf_counter() - began,
    )


def _evaluation(folder: Path, base: BaseFiles, adapter: Path, device: str) -> WorkOrder:
    contents = {"choices": CHOICES, "asked": ASKED, "texts": TEXTS}
    return WorkOrder(
        job_id="evaluate", epoch=0, base=base, folder=folder / "evaluate", device=device,
        spec=EvaluationSpec(
            name="look", base_model="base", adapters=["adapter"], benchmarks=list(contents),
            max_new_tokens=4, precision="fp32",
        ),
        adapters=[AdapterFiles(name="adapter", folder=adapter, base=base)],
        benchmarks=[
            _file(folder, name, "\n".join(json.dumps(row) for row in rows))
            for name, rows in contents.items()
        ],
    )  # fmt: skip


def _file(folder: Path, name: str, text: str) -> DataFile:
    path = folder / f"{name}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n", encoding="utf-8")
    return DataFile(name=name, path=path, sha256=file_sha256(path))
