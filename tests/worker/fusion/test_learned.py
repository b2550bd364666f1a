"""Weights found on examples: they lower the loss, and the fused adapter is the sum they were."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoTokenizer

from fusions import deltas, fusion_order, load, relative
from references import each_against_its_reference
from shared.alpaca import read_rows
from shared.errors import UnsupportedAdapter
from shared.orders import DataFile
from tiny_bases import write_adapter
from worker.fusion import fuse
from worker.fusion.learned import Mixture
from worker.fusion.same_base import open_donors
from worker.reporting import AdapterResult, Silent
from worker.training.examples import encode

METHODS: dict[str, dict[str, Any]] = {
    "alpha_search": {"alphas": [-1.0, 0.25, 1.0, 2.0]},
    "lorahub": {"tries": 25},
    "lora_soups": {"steps": 12},
}
ROWS = [
    {"instruction": "Name the capital of France.", "output": "Paris."},
    {"instruction": "Summarise the text", "input": "a small model", "output": "small"},
    {"instruction": "请说出法国的首都。", "output": "巴黎。"},
]


@pytest.fixture(scope="module")
def adapters(tiny_llama: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("adapters")
    return {
        "a": write_adapter(tiny_llama, folder / "a", seed=1),
        "b": write_adapter(tiny_llama, folder / "b", seed=2, rank=3, targets=["q_proj", "up_proj"]),
    }


def order_of(params: dict[str, Any], adapters: dict[str, Path], base: Path, folder: Path) -> Any:
    path = folder / "rows.json"
    path.write_text(json.dumps(ROWS), encoding="utf-8")
    data = DataFile(name="rows", path=path, sha256="-")
    given = {"dataset": "rows", **params}
    return fusion_order(given, adapters, base, folder / "job", dataset=data)


def run(method: str, adapters: dict[str, Path], base: Path, folder: Path) -> AdapterResult:
    params = {"method": method, **METHODS[method]}
    return fuse(order_of(params, adapters, base, folder), Silent())


@pytest.mark.parametrize("method", each_against_its_reference(METHODS))
def test_the_weights_lower_the_loss_and_the_result_is_their_sum(
    method: str, adapters: dict[str, Path], tiny_llama: Path, tmp_path: Path
) -> None:
    made = run(method, adapters, tiny_llama, tmp_path)
    facts = made.facts
    assert facts["loss_found"] < facts["loss_mean"]
    assert facts["labels"] == len(ROWS)
    parts = [deltas(tiny_llama, path) for path in adapters.values()]
    for module, found in deltas(tiny_llama, made.folder).items():
        weights = facts.get("module_weights", {}).get(module, facts["weights"])
        wanted = sum(
            weight * part[module]
            for weight, part in zip(weights, parts, strict=True)
            if module in part
        )
        assert relative(found, torch.as_tensor(wanted)) < 1e-5


def test_the_mixture_is_plain_pefts_model(
    adapters: dict[str, Path], tiny_llama: Path, tmp_path: Path
) -> None:
    """The loss that weights are judged by is that of the adapter that comes out."""
    made = run("lora_soups", adapters, tiny_llama, tmp_path)
    order = order_of({"method": "alpha_search"}, {"made": made.folder}, tiny_llama, tmp_path)
    report = Silent()
    alone = Mixture(order, order.spec.params, open_donors(order, report, order.spec.params))
    assert alone.loss(torch.ones(1)) == pytest.approx(made.facts["loss_found"], rel=1e-5)
    assert alone.loss(torch.zeros(1)) == pytest.approx(made.facts["loss_before"], rel=1e-5)


def test_what_has_no_weight_is_refused(tiny_llama: Path, tmp_path: Path) -> None:
    head = write_adapter(tiny_llama, tmp_path / "head", modules_to_save=["lm_head"])
    given = {"method": "lorahub", "saved_modules": "average"}
    with pytest.raises(UnsupportedAdapter, match="cannot weigh trained biases or saved modules"):
        fuse(order_of(given, {"head": head}, tiny_llama, tmp_path), Silent())


def test_one_adapter_may_be_made_stronger(
    adapters: dict[str, Path], tiny_llama: Path, tmp_path: Path
) -> None:
    made = run("alpha_search", {"a": adapters["a"]}, tiny_llama, tmp_path)
    assert made.facts["weights"][0] in METHODS["alpha_search"]["alphas"]
    assert load(tiny_llama, made.folder) is not None


@pytest.mark.dense_reference("regmean")
def test_regmean_is_the_regression_on_the_adapters_own_activations(
    adapters: dict[str, Path], tiny_llama: Path, tmp_path: Path
) -> None:
    """The dense normal equations, with inputs taken from plain PEFT's models of each adapter."""
    module = "model.layers.1.self_attn.q_proj"
    params = {"method": "regmean", "weights": [0.7, 0.3], "shrink": 0.8}
    order = order_of(params, adapters, tiny_llama, tmp_path)
    made = fuse(order, Silent())
    tokenizer = AutoTokenizer.from_pretrained(tiny_llama)
    examples = encode(read_rows(order.dataset.path), tokenizer, "auto", 512).examples
    top, bottom = torch.zeros(64, 64).double(), torch.zeros(64, 64).double()
    for path, weight in zip(adapters.values(), params["weights"], strict=True):
        model, seen = load(tiny_llama, path), []
        part = model.base_model.model.get_submodule(module)
        part.register_forward_pre_hook(lambda _, inputs, seen=seen: seen.append(inputs[0]))
        with torch.no_grad():
            for example in examples:
                model(input_ids=torch.tensor([example.ids[:-1]]))
        rows = torch.cat([inputs[0] for inputs in seen]).double()
        gram = rows.T @ rows
        gram = 0.8 * gram + 0.2 * torch.diag(gram.diagonal())
        top += weight * deltas(tiny_llama, path)[module] @ gram
        bottom += weight * gram
    wanted = top @ torch.linalg.inv(bottom)
    assert relative(deltas(tiny_llama, made.folder)[module], wanted) < 1e-4


def test_regmean_of_one_adapter_is_the_adapter(
    adapters: dict[str, Path], tiny_llama: Path, tmp_path: Path
) -> None:
    order = order_of({"method": "regmean"}, {"a": adapters["a"]}, tiny_llama, tmp_path)
    made = fuse(order, Silent())
    for module, wanted in deltas(tiny_llama, adapters["a"]).items():
        assert relative(deltas(tiny_llama, made.folder)[module], wanted) < 1e-4
