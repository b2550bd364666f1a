"""Proxy-tuning as a preview: the sum of logits, and what it says before a transfer."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from fusions import base_files, fusion_order, load
from shared.orders import AdapterFiles, DataFile
from shared.specs import TrainingSpec
from tiny_bases import make_llama, write_adapter
from worker.checkpoints import load_base
from worker.fusion import fuse
from worker.fusion.proxy import proxied
from worker.reporting import Silent
from worker.training import Place, train_adapter
from worker.training.examples import encode

ROWS = [
    {"instruction": "Name the capital.", "input": "", "output": "Paris, the river fox."},
    {"instruction": "请说出首都。", "input": "", "output": "巴黎。"},
]


def rows_file(folder: Path) -> DataFile:
    path = folder / "rows.json"
    path.write_text(json.dumps(ROWS, ensure_ascii=False), encoding="utf-8")
    return DataFile(name="rows", path=path, sha256="")


def test_scores_are_those_of_the_summed_logits(tiny_llama: Path, tmp_path: Path) -> None:
    """With one vocabulary, against three plain models and a softmax."""
    host = make_llama(tmp_path / "host", seed=7)
    adapter = write_adapter(tiny_llama, tmp_path / "a", scale=0.2)
    donor = AdapterFiles(name="a", folder=adapter, base=base_files(tiny_llama))
    found = proxied(ROWS, donor, base_files(host), device="cpu", template="auto")
    _, tokenizer = load_base(base_files(host), "cpu", "fp32")
    models = load(host), load(tiny_llama, adapter), load(tiny_llama)
    for row, example in enumerate(encode(ROWS, tokenizer, "auto", 512).examples):
        ids = torch.tensor([example.ids])
        with torch.no_grad():
            own, after, before = (model(input_ids=ids).logits[0, :-1] for model in models)
        last = len(example.ids) - 2
        for logits, score in ((own, found.host[row]), (own + after - before, found.tuned[row])):
            likely = logits.log_softmax(-1).gather(1, ids[0, 1:, None])[:, 0]
            assert score == pytest.approx(float(likely[example.answer - 1 : last].sum()), rel=1e-4)


@pytest.mark.parametrize("helps", [True, False])
def test_a_preview_says_before_the_transfer_whether_it_may_help(
    helps: bool, tiny_llama: Path, tmp_path: Path
) -> None:
    """On a host of the same weights: what the donor learned, and the very opposite of it."""
    host = make_llama(tmp_path / "host")
    adapter = _trained_on_rows(tiny_llama, tmp_path / "a")
    if not helps:
        _turned_round(adapter / "adapter_model.safetensors")
    report = Silent()
    order = fusion_order(
        {"method": "procrustes", "probe": "preview", "dataset": "rows", "least_r2": -1000.0},
        {"a": adapter}, tiny_llama, tmp_path / "w", host=host, dataset=rows_file(tmp_path),
    )  # fmt: skip
    facts = fuse(order, report).facts
    [line] = [line for line in report.lines if "preview:" in line]
    assert ("unlikely to help" in line) is not helps
    assert (facts["preview"]["tuned"] < facts["preview"]["host"]) is helps
    assert facts["preview"]["rows"] == 2
    assert report.phases[:3] == ["checking adapters", "probing bases", "previewing"]


def _turned_round(path: Path) -> None:
    weights = load_file(path)
    save_file({key: -w if ".lora_B." in key else w for key, w in weights.items()}, path)


def _trained_on_rows(base: Path, folder: Path) -> Path:
    spec = TrainingSpec(
        name="d", base_model="b", dataset="d", rank=8, learning_rate=0.02, batch_size=2,
        max_steps=20, checkpoint_every=1000,
    )  # fmt: skip
    place = Place(
        base=base_files(base), dataset="d", out=folder, checkpoints=folder.parent / "c"
    )  # fmt: skip
    train_adapter(*load_base(base_files(base), "cpu", "fp32"), ROWS, spec, "auto", place, Silent())
    return folder
