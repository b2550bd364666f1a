"""What the transfer study runs: adapters trained, moved, or made as controls, by the engines."""

import json
import random
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from peft import PeftConfig, PeftModelForCausalLM, set_peft_model_state_dict
from safetensors.torch import load_file, save_file

from shared.alpaca import Row
from shared.evaluations import EvaluationPart
from shared.orders import AdapterFiles, BaseFiles, DataFile, WorkOrder
from shared.specs import FusionSpec, Refresh, parse_spec
from worker.checkpoints import load_base, logit_change
from worker.evaluation import evaluate
from worker.fusion import fuse
from worker.fusion.answer_file import NAME, Answered, AnswerFile
from worker.fusion.answers import answer_all, prompts_of
from worker.fusion.teaching import ask
from worker.reporting import Silent
from worker.training import train

WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"
RANK = 16


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What every arm of one (task, seed) shares."""

    task: str
    seed: int
    max_new_tokens: int
    max_length: int
    steps: int
    batch_size: int
    device: str
    learning_rate: float
    precision: str
    files: Mapping[str, DataFile]

    @property
    def learning(self) -> dict[str, Any]:
        """How every adapter is trained, natives and transfers alike."""
        return {
            "rank": RANK, "alpha": 2.0 * RANK, "learning_rate": self.learning_rate,
            "max_steps": self.steps, "batch_size": self.batch_size, "seed": self.seed,
            "max_length": self.max_length, "checkpoint_every": 1_000_000,
            "precision": self.precision,
        }  # fmt: skip

    @property
    def teaching(self) -> dict[str, Any]:
        """A refresh or distillation on the donor's own training prompts."""
        dataset = self.files["train"].name
        return self.learning | {"dataset": dataset, "max_new_tokens": self.max_new_tokens}


@dataclass(frozen=True)
class Made:
    """An adapter and what it cost; `why` says why there is none."""

    folder: Path | None
    minutes: float
    labels: int = 0
    why: str = ""
    facts: dict[str, Any] = field(default_factory=dict)


def base_files(models: Path, name: str) -> BaseFiles:
    """A base folder as an order names it."""
    return BaseFiles(name=name, location=str(models / name), fingerprint=name)


def trained(setting: Setting, base: BaseFiles, data: DataFile, labels: int, folder: Path) -> Made:
    """An adapter trained on labelled rows; kept where an earlier run made it."""
    began = time.perf_counter()
    record = folder / "made.json"
    if not record.is_file():
        shutil.rmtree(folder, ignore_errors=True)
        spec = {"kind": "train", "name": "a", "base_model": base.name, "dataset": data.name}
        order = WorkOrder(
            job_id="study", epoch=1, spec=parse_spec(spec | setting.learning), base=base,
            dataset=data, folder=folder, device=setting.device,
        )  # fmt: skip
        order.out.mkdir(parents=True)
        train(order, Silent())
        record.write_text(json.dumps({"minutes": (time.perf_counter() - began) / 60}))
    minutes = json.loads(record.read_text())["minutes"]
    return Made(folder / "out", minutes, labels)


def donor_files(setting: Setting, base: BaseFiles, folder: Path) -> AdapterFiles:
    """The donor's adapter as an order names it."""
    facts = {"template": "auto", "dataset": setting.files["train"].name}
    return AdapterFiles(name="donor", folder=folder, base=base, facts=facts)


def fusion(
    setting: Setting, params: dict[str, Any], donor: AdapterFiles, host: BaseFiles, folder: Path
) -> WorkOrder:
    """An order to move the donor's adapter to the host."""
    spec = {
        "kind": "fuse", "name": "moved", "adapters": [donor.name], "host_base": host.name,
        "params": params | {"probe": "off"},
    }  # fmt: skip
    order = WorkOrder(
        job_id="study", epoch=1, spec=parse_spec(spec), base=host, adapters=[donor],
        dataset=setting.files["train"], folder=folder, device=setting.device,
    )  # fmt: skip
    order.out.mkdir(parents=True, exist_ok=True)
    return order


def answered(setting: Setting, donor: AdapterFiles, folder: Path, temperature: float = 0.0) -> Path:
    """The donor's answers to its training prompts, asked once for all hosts and methods."""
    path = folder / NAME
    if not (folder / "asked").is_file():
        params = {"method": "refresh", "temperature": temperature} | setting.teaching
        order = fusion(setting, params, donor, donor.base, folder)
        assert isinstance(order.spec, FusionSpec)
        assert isinstance(order.spec.params, Refresh)
        ask(order, order.spec.params, Silent())
        (folder / "asked").touch()
    return path


def moved(
    setting: Setting, params: dict[str, Any], donor: AdapterFiles, host: BaseFiles, folder: Path,
    answers: Path | None = None,
) -> Made:  # fmt: skip
    """The donor's adapter moved by one of the engine's methods, no labels used."""
    shutil.rmtree(folder, ignore_errors=True)
    order = fusion(setting, params, donor, host, folder)
    if answers is not None:
        shutil.copyfile(answers, folder / NAME)
    began = time.perf_counter()
    made = fuse(order, Silent())
    minutes = (time.perf_counter() - began) / 60 + made.facts.get("answering_minutes", 0.0)
    kept = ("kept", "asked", "alignment", "taught_share", "projections", "paired_share")
    return Made(made.folder, minutes, facts={k: v for k, v in made.facts.items() if k in kept})


def read_answers(path: Path, rows: Sequence[Row]) -> list[Row]:
    """The rows with the answers of a file, those that ended."""
    lines = path.read_text(encoding="utf-8").split("\n")[1:]
    told = [json.loads(line) for line in lines if line]
    return [
        {**rows[each["row"]], "output": each["text"]}
        for each in sorted(told, key=lambda each: each["row"])
        if each["outcome"] == "finished" and each["text"]
    ]


def shuffled_answers(rows: Sequence[Row], seed: int) -> list[Row]:
    """Every answer under another prompt: the answers' look without what they say."""
    outputs = [row["output"] for row in rows]
    random.Random(seed).shuffle(outputs)
    return [{**row, "output": output} for row, output in zip(rows, outputs, strict=True)]


def base_answers(setting: Setting, base: BaseFiles, rows: Sequence[Row], folder: Path) -> Path:
    """What the donor's base says without an adapter, cut at the length limit."""
    path = folder / NAME
    if not (folder / "asked").is_file():
        params = Refresh.model_validate({"method": "refresh"} | setting.teaching)
        model, tokenizer = load_base(base, setting.device, "auto")
        file = AnswerFile(path, "base")
        prompts = prompts_of(list(enumerate(rows)), tokenizer, "auto")
        answer_all(model, tokenizer, prompts, params, file, folder / "c", Silent())
        # A base has no habit of ending an answer; what it said is kept as far as it went.
        found = [each for each in file.found.values() if each.outcome != "unasked"]
        AnswerFile(path, "ended").add(
            Answered(each.row, each.text, "finished", each.seconds) for each in found
        )
        (folder / "asked").touch()
    return path


def shuffled_layers(donor: AdapterFiles, folder: Path, seed: int) -> AdapterFiles:
    """The donor with its layers in another order, none at its own place."""
    weights = load_file(donor.folder / WEIGHTS)
    layers = sorted({int(key.split(".layers.")[1].split(".")[0]) for key in weights})
    turn = 1 + seed % (len(layers) - 1)
    to = dict(zip(layers, layers[turn:] + layers[:turn], strict=True))
    renamed = {}
    for key, value in weights.items():
        before, after = key.split(".layers.")
        layer, rest = after.split(".", 1)
        renamed[f"{before}.layers.{to[int(layer)]}.{rest}"] = value
    return _written(donor, folder, renamed)


def random_like(adapter: Path, folder: Path, seed: int, *, spectrum: bool = False) -> Made:
    """Random factors whose update has each module's Frobenius norm.

    `spectrum`: also its singular values, as if carried by random orthogonal maps.
    """
    weights = load_file(adapter / WEIGHTS)
    generator = torch.Generator().manual_seed(seed)
    drawn = {}
    for key, a in weights.items():
        if ".lora_A." in key:
            other = key.replace(".lora_A.", ".lora_B.")
            b = weights[other]
            new_a = torch.randn(a.shape, generator=generator)
            new_b = torch.randn(b.shape, generator=generator)
            if spectrum:
                sizes = torch.linalg.svdvals(b.float() @ a.float())[: len(a)]
                new_b = torch.linalg.qr(new_b)[0][:, : len(sizes)] * sizes
                new_a = torch.linalg.qr(new_a.T)[0].T[: len(sizes)]
            wanted = (b.float() @ a.float()).norm()
            drawn[key] = new_a.contiguous()
            drawn[other] = (new_b * (wanted / (new_b @ new_a).norm())).contiguous()
    folder.mkdir(parents=True, exist_ok=True)
    save_file(drawn, folder / WEIGHTS, {"format": "pt"})
    shutil.copyfile(adapter / CONFIG, folder / CONFIG)
    return Made(folder, 0.0)


def mean_of(adapters: Mapping[str, Path], base: BaseFiles, folder: Path, device: str) -> Made:
    """The mean of adapters of one base, by the engine's weighted sum."""
    spec = {
        "kind": "fuse", "name": "mean", "adapters": list(adapters),
        "params": {"method": "weighted_sum"},
    }  # fmt: skip
    order = WorkOrder(
        job_id="study", epoch=1, spec=parse_spec(spec), base=base, folder=folder, device=device,
        adapters=[AdapterFiles(name=name, folder=path, base=base)
                  for name, path in adapters.items()],
    )  # fmt: skip
    shutil.rmtree(folder, ignore_errors=True)
    order.out.mkdir(parents=True)
    return Made(fuse(order, Silent()).folder, 0.0)


def seed_swap(donor: AdapterFiles, host: BaseFiles, device: str) -> float:
    """The recipe this project was seeded with: the donor's files on the host, loaded by plain PEFT
    as if they fitted. Returns the largest change of a logit."""
    model, _ = load_base(host, device, "auto")
    config = PeftConfig.from_pretrained(str(donor.folder))
    config.inference_mode = True
    adapted = PeftModelForCausalLM(model, config)
    set_peft_model_state_dict(
        adapted, load_file(donor.folder / WEIGHTS), ignore_mismatched_sizes=True
    )
    return logit_change(adapted.eval())


def judged(
    setting: Setting, base: BaseFiles, arms: Mapping[str, Path], folder: Path
) -> list[EvaluationPart]:
    """All arms and the base on the task's benchmark and the off-task one."""
    slots = {f"arm{number}": name for number, name in enumerate(arms)}
    benchmarks = [setting.files["test"], setting.files["off"]]
    spec = {
        "kind": "evaluate", "name": "e", "base_model": base.name, "adapters": list(slots),
        "benchmarks": [file.name for file in benchmarks], "max_new_tokens": setting.max_new_tokens,
        "precision": setting.precision,
    }  # fmt: skip
    if setting.device == "cuda":
        spec["batch_tokens"] = 1 << 16
    shutil.rmtree(folder, ignore_errors=True)
    order = WorkOrder(
        job_id="study", epoch=1, spec=parse_spec(spec), base=base, folder=folder,
        adapters=[AdapterFiles(name=slot, folder=arms[name], base=base)
                  for slot, name in slots.items()],
        benchmarks=benchmarks, device=setting.device,
    )  # fmt: skip
    order.out.mkdir(parents=True)
    parts = evaluate(order, Silent()).parts
    return [part.model_copy(update={"arm": slots.get(part.arm, part.arm)}) for part in parts]


def _written(donor: AdapterFiles, folder: Path, weights: dict[str, Any]) -> AdapterFiles:
    folder.mkdir(parents=True, exist_ok=True)
    save_file(weights, folder / WEIGHTS, {"format": "pt"})
    shutil.copyfile(donor.folder / CONFIG, folder / CONFIG)
    return donor.model_copy(update={"folder": folder})
