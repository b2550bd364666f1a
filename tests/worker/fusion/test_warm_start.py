"""A warm start: weights moved to the host, then trained on a few labelled rows."""

import json
from pathlib import Path
from typing import Any

import pytest

from donors import gauged_folder
from fusions import deltas, fusion_order, load, logits, relative
from shared.errors import WrongCount
from shared.orders import DataFile
from tiny_bases import make_llama, write_adapter
from worker.fusion import fuse
from worker.reporting import Silent

ROWS = [{"instruction": f"Name {n}.", "input": "", "output": f"It is {n}."} for n in range(12)]


@pytest.fixture
def labelled(tmp_path: Path) -> DataFile:
    path = tmp_path / "rows.json"
    path.write_text(json.dumps(ROWS), encoding="utf-8")
    return DataFile(name="rows", path=path, sha256="")


def run(base: Path, host: Path, folder: Path, rows: DataFile, **more: Any) -> Any:
    params: dict[str, Any] = {
        "method": "warm_start", "dataset": "rows", "start": "copy", "rank": 4, "alpha": 4.0,
        "batch_size": 4, "max_steps": 2, "learning_rate": 1e-9, "probe": "off",
    }  # fmt: skip
    adapter = write_adapter(base, folder / "a", rank=4)
    order = fusion_order(params | more, {"a": adapter}, base, folder, host=host, dataset=rows)
    return fuse(order, Silent())


@pytest.mark.dense_reference("warm_start")
def test_it_begins_with_the_donors_update(
    tiny_llama: Path, tmp_path: Path, labelled: DataFile
) -> None:
    host = make_llama(tmp_path / "host", seed=5)
    made = run(tiny_llama, host, tmp_path / "w", labelled)
    wanted, found = deltas(tiny_llama, tmp_path / "w" / "a"), deltas(host, made.folder)
    assert found.keys() == wanted.keys()
    assert max(relative(found[name], wanted[name]) for name in wanted) < 1e-3


def test_other_factors_of_the_donor_begin_and_learn_the_same(
    tiny_llama: Path, tmp_path: Path, labelled: DataFile
) -> None:
    host = make_llama(tmp_path / "host", seed=5)
    adapter = write_adapter(tiny_llama, tmp_path / "a", rank=4)
    params = {
        "method": "warm_start", "dataset": "rows", "start": "copy", "rank": 4, "batch_size": 4,
        "max_steps": 2, "learning_rate": 1e-3, "probe": "off",
    }  # fmt: skip
    found = []
    for each in (adapter, gauged_folder(adapter, tmp_path / "turned")):
        folder = tmp_path / f"w{len(found)}"
        order = fusion_order(params, {"a": each}, tiny_llama, folder, host=host, dataset=labelled)
        found.append(logits(load(host, fuse(order, Silent()).folder)))
    assert relative(found[0], found[1]) < 1e-3
    assert relative(found[0], logits(load(host))) > 1e-2


def test_it_learns_from_as_many_labels_as_asked_and_says_so(
    tiny_llama: Path, tmp_path: Path, labelled: DataFile
) -> None:
    host = make_llama(tmp_path / "host", seed=5)
    made = run(
        tiny_llama, host, tmp_path / "w", labelled, labels=5, learning_rate=0.01, max_steps=6
    )
    assert (made.facts["labels"], made.facts["rows"]) == (5, 5)
    moved = deltas(tiny_llama, tmp_path / "w" / "a")
    found = deltas(host, made.folder)
    assert min(relative(found[name], moved[name]) for name in moved) > 1e-2
    assert relative(logits(load(host, made.folder)), logits(load(host))) > 0


def test_two_donors_are_refused(tiny_llama: Path, tmp_path: Path, labelled: DataFile) -> None:
    adapter = write_adapter(tiny_llama, tmp_path / "a", rank=4)
    params = {"method": "warm_start", "dataset": "rows", "probe": "off"}
    order = fusion_order(
        params, {"a": adapter, "b": adapter}, tiny_llama, tmp_path / "w", host=tiny_llama,
        dataset=labelled,
    )  # fmt: skip
    with pytest.raises(WrongCount):
        fuse(order, Silent())
