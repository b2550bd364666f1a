"""Weights carried to another base: back to themselves on the same base, sensibly elsewhere."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from fusions import base_files, deltas, fusion_order, load, logits, relative, with_added
from shared.errors import NoOp
from shared.orders import DataFile
from tiny_bases import make_llama, write_adapter
from worker.fusion import fuse
from worker.fusion.factors import Factors
from worker.fusion.maps import cka, explained, monotone_layers, procrustes, ridge
from worker.fusion.subspaces import cross_lora, pro_lora
from worker.reporting import Silent

#: Enough different bytes that even the embeddings at the first layer span their space.
LETTERS = [chr(code) for code in (*range(33, 127), *range(0x4E00, 0x4E40))]


@pytest.fixture(scope="module")
def prompts(tmp_path_factory: pytest.TempPathFactory) -> DataFile:
    """Prompts of many different words, so that activations span their spaces."""
    generator = torch.Generator().manual_seed(0)
    rows = []
    for _ in range(60):
        chosen = torch.randint(len(LETTERS), (30,), generator=generator).tolist()
        text = "".join(LETTERS[letter] for letter in chosen)
        rows.append({"instruction": text, "input": "", "output": "x"})
    path = tmp_path_factory.mktemp("prompts") / "prompts.json"
    path.write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")
    return DataFile(name="prompts", path=path, sha256="")


def made(
    params: dict[str, Any], donor: Path, host: Path, adapter: Path, folder: Path, prompts: DataFile
) -> Any:
    needs = {"dataset": "prompts"} if params["method"] in ("procrustes", "ridge") else {}
    order = fusion_order(params | needs, {"a": adapter}, donor, folder, host=host, dataset=prompts)
    # Two names of one base, so that nothing but the maps can tell that they are the same.
    order.base = base_files(host, "host")
    return fuse(order, Silent())


SAME: list[dict[str, Any]] = [
    {"method": "procrustes", "scale": 0.5},
    {"method": "ridge", "scale": 0.5, "penalty": 1e-10},
    {"method": "procrustes", "scale": 0.5, "layers": "cka"},
    {"method": "cross_lora", "scale": 0.5},
    {"method": "pro_lora", "scale": 0.5},
]


@pytest.mark.parametrize("params", SAME, ids=lambda each: "-".join(map(str, each.values())))
def test_a_base_carried_to_itself_gives_the_adapter_back(
    params: dict[str, Any], tiny_llama: Path, tmp_path: Path, prompts: DataFile
) -> None:
    # A map of outputs knows only what the base itself writes, and the published two only the
    # weights' own directions: all of an update where the module does not widen, or is square.
    square = params["method"] in ("cross_lora", "pro_lora")
    targets = ["q_proj", "o_proj"] if square else ["q_proj", "v_proj", "o_proj", "down_proj"]
    adapter = write_adapter(tiny_llama, tmp_path / "a", targets=targets)
    result = made(params, tiny_llama, tiny_llama, adapter, tmp_path / "w", prompts)
    wanted = {name: 0.5 * delta for name, delta in deltas(tiny_llama, adapter).items()}
    found = deltas(tiny_llama, result.folder)
    assert found.keys() == wanted.keys()
    for name, delta in wanted.items():
        assert relative(found[name], delta) < 0.02, name


@pytest.mark.parametrize("method", ["procrustes", "ridge", "cross_lora"])
def test_across_families_every_projection_lands_and_plain_peft_loads_it(
    method: str, tiny_llama: Path, tiny_glm: Path, tmp_path: Path, prompts: DataFile
) -> None:
    adapter = write_adapter(tiny_llama, tmp_path / "a")
    open_gate = {"least_r2": -1000} if method != "cross_lora" else {}
    params = {"method": method} | open_gate
    result = made(params, tiny_llama, tiny_glm, adapter, tmp_path / "w", prompts)
    found = deltas(tiny_glm, result.folder)
    assert len(found) == 3 * 6
    assert (
        relative(logits(load(tiny_glm, result.folder)), logits(with_added(tiny_glm, found))) < 1e-4
    )
    assert result.facts["logit_change"] > 0
    assert len(result.facts["matched"]["model.layers.0.mlp.gate_up_proj"]) == 2


def test_a_projection_below_the_gate_is_left_out_and_none_above_it_is_a_no_op(
    tiny_llama: Path, tiny_glm: Path, tmp_path: Path, prompts: DataFile
) -> None:
    adapter = write_adapter(tiny_llama, tmp_path / "a")
    params = {"method": "ridge", "least_r2": 0.999}
    with pytest.raises(NoOp, match=r"no map for \"a\" has a held-out R² of 0.999"):
        made(params, tiny_llama, tiny_glm, adapter, tmp_path / "w", prompts)


def test_pro_lora_needs_a_host_of_the_donors_shape(
    tiny_llama: Path, tmp_path: Path, prompts: DataFile
) -> None:
    other = make_llama(tmp_path / "wide", hidden_size=96, intermediate_size=200, head_dim=24)
    adapter = write_adapter(tiny_llama, tmp_path / "a", targets=["q_proj"])
    with pytest.raises(NoOp, match="exists in host with the same size"):
        made({"method": "pro_lora"}, tiny_llama, other, adapter, tmp_path / "w", prompts)


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_procrustes_finds_the_rotation_and_scale_and_ridge_any_linear_map() -> None:
    source = draw(400, 24)
    square = torch.linalg.qr(draw(24, 24, seed=2))[0]
    torch.testing.assert_close(
        procrustes(source, 3 * source @ square.T), 3 * square, atol=1e-4, rtol=0
    )
    linear = draw(16, 24, seed=3)
    found = ridge(source, source @ linear.T, 1e-8)
    torch.testing.assert_close(found, linear, atol=1e-4, rtol=0)
    assert explained(source @ found.T, source @ linear.T) > 0.9999
    assert explained(draw(400, 16, seed=4), source @ linear.T) < 0.1


def test_cka_ignores_rotation_and_layers_never_go_back() -> None:
    source = draw(200, 12)
    turned = source @ torch.linalg.qr(draw(12, 12, seed=1))[0]
    assert cka(source, turned) == pytest.approx(1, abs=1e-5)
    assert cka(source, draw(200, 12, seed=2)) < 0.3
    similarity = [[0.9, 0.1, 0.0], [0.2, 0.1, 0.8], [0.9, 0.3, 0.2], [0.0, 0.1, 0.9]]
    assert monotone_layers(similarity) == [0, 0, 0, 2]


def test_the_baselines_equal_their_dense_formulas_and_cross_lora_hangs_on_signs() -> None:
    update = Factors(draw(20, 3), draw(3, 14, seed=1))
    donor, host = draw(20, 14, seed=2), draw(20, 14, seed=3)
    (u, _, v), (x, _, y) = (torch.linalg.svd(each.double(), False) for each in (donor, host))
    delta = update.delta()
    u, v, x, y = u[:, :6], v[:6].T, x[:, :6], y[:6].T
    dense = x @ u.T @ delta @ v @ y.T
    found = cross_lora(update, donor, host, 6)
    assert relative(found.delta(), dense) < 1e-5
    other = cross_lora(update, donor, host, 6, torch.Generator().manual_seed(5))
    assert relative(other.delta(), dense) > 0.5
    p_s, p_t, q_s, q_t = u @ u.T, x @ x.T, v @ v.T, y @ y.T
    left, right = torch.eye(20).double(), torch.eye(14).double()
    wanted = p_t @ p_s @ delta @ q_s @ q_t
    wanted += (left - p_t) @ (left - p_s) @ delta @ (right - q_s) @ (right - q_t)
    assert relative(pro_lora(update, donor, host, 6).delta(), wanted) < 1e-5
