"""Controls that a transfer has to beat: random weights of the donor's size, layers out of place."""

from pathlib import Path

import pytest
import torch

from fusions import deltas, fusion_order, load, logits, relative, with_added
from tiny_bases import make_llama, write_adapter
from worker.fusion import fuse
from worker.reporting import Silent


@pytest.mark.dense_reference("noise")
def test_noise_is_as_large_as_the_donor_and_points_elsewhere(
    tiny_llama: Path, tmp_path: Path
) -> None:
    host = make_llama(tmp_path / "host", seed=5)
    adapter = write_adapter(tiny_llama, tmp_path / "a", rank=4)
    wanted = deltas(tiny_llama, adapter)
    drawn = {}
    for seed in (1, 2):
        params = {"method": "noise", "seed": seed}
        order = fusion_order(params, {"a": adapter}, tiny_llama, tmp_path / str(seed), host=host)
        drawn[seed] = deltas(host, fuse(order, Silent()).folder)
        assert drawn[seed].keys() == wanted.keys()
    for name, delta in wanted.items():
        one, other = (drawn[seed][name] for seed in (1, 2))
        assert float(one.norm() / delta.norm()) == pytest.approx(1, abs=1e-4)
        for found in (one, other):
            assert int(torch.linalg.matrix_rank(found, rtol=1e-5)) == 4
        assert abs(float((one * delta).sum() / (one.norm() * delta.norm()))) < 0.3
        assert relative(one, other) > 1


def test_the_same_seed_draws_the_same_adapter_and_plain_peft_loads_it(
    tiny_llama: Path, tiny_glm: Path, tmp_path: Path
) -> None:
    adapter = write_adapter(tiny_llama, tmp_path / "a", rank=4)
    folders = []
    for place in ("one", "two"):
        params = {"method": "noise", "seed": 3}
        order = fusion_order(params, {"a": adapter}, tiny_llama, tmp_path / place, host=tiny_glm)
        folders.append(fuse(order, Silent()).folder)
    weights = [(folder / "adapter_model.safetensors").read_bytes() for folder in folders]
    assert weights[0] == weights[1]
    updates = deltas(tiny_glm, folders[0])
    found = logits(load(tiny_glm, folders[0]))
    assert relative(found, logits(with_added(tiny_glm, updates))) < 1e-5


def test_a_shifted_copy_has_every_layer_at_the_next_ones_place(
    tiny_llama: Path, tmp_path: Path
) -> None:
    host = make_llama(tmp_path / "host", seed=5)
    adapter = write_adapter(tiny_llama, tmp_path / "a")
    params = {"method": "copy", "layer_shift": 1}
    order = fusion_order(params, {"a": adapter}, tiny_llama, tmp_path / "w", host=host)
    found, own = deltas(host, fuse(order, Silent()).folder), deltas(tiny_llama, adapter)
    layers = sorted({int(name.split(".layers.")[1].split(".")[0]) for name in own})
    for name, delta in found.items():
        layer = int(name.split(".layers.")[1].split(".")[0])
        other = name.replace(f".layers.{layer}.", f".layers.{(layer + 1) % len(layers)}.")
        assert relative(delta, own[other]) < 1e-5
