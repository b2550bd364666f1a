"""The look at two bases before a transfer, and the route it recommends."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from fusions import fusion_order
from shared.orders import DataFile, WorkOrder
from tiny_bases import make_llama, write_adapter
from worker.fusion import fuse
from worker.fusion.probing import Probe, probe_bases, recommended
from worker.reporting import Silent


def continued(base: Path, folder: Path, amount: float = 0.1) -> Path:
    """The base trained a little further: every weight moved by a share of its size."""
    shutil.copytree(base, folder)
    generator = torch.Generator().manual_seed(7)
    for path in folder.glob("*.safetensors"):
        weights = load_file(path)
        for name, weight in weights.items():
            step = torch.randn(weight.shape, generator=generator) * weight.float().std()
            weights[name] = (weight.float() + amount * step).to(weight.dtype)
        save_file(weights, path, {"format": "pt"})
    return folder


def order(base: Path, host: Path, folder: Path, **more: object) -> WorkOrder:
    adapter = write_adapter(base, folder / "a", rank=4)
    return fusion_order({"method": "copy"}, {"a": adapter}, base, folder, host=host, **more)


def test_a_continuation_is_recognised_by_its_weights_and_copied(
    tiny_llama: Path, tmp_path: Path
) -> None:
    found = order(tiny_llama, continued(tiny_llama, tmp_path / "host"), tmp_path)
    report = Silent()
    probe = probe_bases(found, "weights", report)
    assert probe.cosine == pytest.approx(0.995, abs=0.003)
    assert probe.distance == pytest.approx(0.1, abs=0.01)
    assert (probe.route, probe.same_size, probe.one_vocabulary) == ("COPY", probe.projections, True)
    assert report.lines == [f"info: probe recommends COPY: {probe.why}. Cost: {probe.cost}"]


def test_another_training_of_the_same_shape_is_not_taken_for_one(
    tiny_llama: Path, tmp_path: Path
) -> None:
    found = order(tiny_llama, make_llama(tmp_path / "host", seed=9), tmp_path)
    probe = probe_bases(found, "weights", Silent())
    assert probe.cosine == pytest.approx(0, abs=0.1)
    assert probe.route == "RETRAIN"
    assert "unrelated" in probe.why


def test_with_texts_it_says_how_alike_the_layers_are(
    tiny_llama: Path, tiny_glm: Path, tmp_path: Path
) -> None:
    rows = [{"instruction": f"Say {n} of {n * 7}.", "input": "", "output": "x"} for n in range(30)]
    path = tmp_path / "prompts.json"
    path.write_text(json.dumps(rows), encoding="utf-8")
    texts = DataFile(name="prompts", path=path, sha256="")
    own = probe_bases(order(tiny_llama, tiny_llama, tmp_path, dataset=texts), "full", Silent())
    assert own.cka == pytest.approx([1.0] * len(own.cka), abs=1e-3)
    assert min(own.r2) > 0.8
    other = probe_bases(order(tiny_llama, tiny_glm, tmp_path, dataset=texts), "full", Silent())
    assert len(other.cka) == len(other.r2) > 0
    assert max(other.cka) < 0.99
    assert other.route == "REFRESH"


def look(**found: object) -> Probe:
    facts: dict[str, object] = {
        "same_base": False, "tokens_in_common": 0.5, "one_vocabulary": False, "projections": 4,
        "same_size": 4, "cosine": 0.0,
    }  # fmt: skip
    return Probe(**(facts | found))  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("probe", "prompts", "route"),
    [
        (look(same_base=True), False, "COPY"),
        (look(cosine=0.95), True, "COPY"),
        (look(cosine=0.95, same_size=2), True, "REFRESH"),
        (look(r2=[0.9, 0.8]), True, "REFRESH"),
        (look(r2=[0.9, 0.8]), False, "TRANSPORT"),
        (look(r2=[0.1, 0.2]), False, "RETRAIN"),
        (look(cosine=None, same_size=0), False, "RETRAIN"),
    ],
)
def test_the_route_follows_from_what_was_found(probe: Probe, prompts: bool, route: str) -> None:
    assert recommended(probe, prompts=prompts)[0] == route


def test_a_transfers_facts_hold_the_probe_unless_it_is_off(
    tiny_llama: Path, tmp_path: Path
) -> None:
    host = continued(tiny_llama, tmp_path / "host")
    adapter = write_adapter(tiny_llama, tmp_path / "a", rank=4)
    kept = {}
    for depth in ("weights", "off"):
        params = {"method": "copy", "probe": depth}
        asked = fusion_order(params, {"a": adapter}, tiny_llama, tmp_path / depth, host=host)
        kept[depth] = fuse(asked, Silent()).facts
    assert kept["weights"]["probe"]["route"] == "COPY"
    assert "probe" not in kept["off"]
