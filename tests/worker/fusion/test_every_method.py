"""Every registered method, transfers and those that read examples too: none escapes its proofs.

What holds of methods on one base without data is in test_same_base_methods.py; this file holds the
rest of the registry to the same, and sees to it that a new method has a dense reference.
"""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from donors import Dense, Donor, gauged, random_donor, read, times, write_donors
from fusions import fusion_order, load, logits, relative, with_added
from references import referenced
from shared.errors import NoOp, UserError
from shared.orders import DataFile
from shared.specs import FUSION_METHODS
from shared.specs.fusion.method import Transfer
from tiny_bases import make_llama
from worker.fusion import METHODS, fuse
from worker.reporting import AdapterResult, Silent

#: Few, quick steps for methods that train or search.
_QUICK: dict[str, Any] = {
    "steps": 2, "tries": 4, "alphas": [0.5, 1.0], "max_steps": 2, "rank": 4, "batch_size": 2,
    "learning_rate": 0.01, "max_new_tokens": 4, "labels": 2, "rows": 2, "least_r2": -1000.0,
    "probe": "off",
}  # fmt: skip
#: Methods that train an adapter of the host.
_TRAINED = {"refresh", "distil", "warm_start"}
#: Linear in the donor's update: rotating its factors changes nothing, tripling it triples all.
_LINEAR = sorted(
    name
    for name, method in FUSION_METHODS.items()
    if issubclass(method, Transfer) and name not in _TRAINED
)
_WITH_EXAMPLES = sorted(
    name
    for name, method in FUSION_METHODS.items()
    if not issubclass(method, Transfer) and "dataset" in method.model_fields
)
ROWS = [
    {"instruction": "Name the capital of France.", "input": "", "output": "Paris."},
    {"instruction": "Name a river.", "input": "", "output": "The sea."},
]
DONORS = {"a": random_donor(1, 4), "b": random_donor(2, 4)}


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> DataFile:
    path = tmp_path_factory.mktemp("rows") / "rows.json"
    path.write_text(json.dumps(ROWS), encoding="utf-8")
    return DataFile(name="rows", path=path, sha256="-")


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another LLaMA of the donors' shape."""
    return make_llama(tmp_path_factory.mktemp("bases") / "host", seed=5)


def made(
    method: str, donors: dict[str, Donor], base: Path, host: Path, folder: Path, rows: DataFile,
    **more: Any,
) -> AdapterResult:  # fmt: skip
    """The method's adapter; a transfer takes the first donor."""
    fields = FUSION_METHODS[method].model_fields
    given = {**_QUICK, "dataset": "rows", **more}
    params = {"method": method} | {key: each for key, each in given.items() if key in fields}
    moves = issubclass(FUSION_METHODS[method], Transfer)
    taken = dict(list(donors.items())[:1]) if moves else donors
    paths = write_donors(taken, folder / "donors")
    needs: dict[str, Any] = {"host": host} if moves else {}
    order = fusion_order(params, paths, base, folder / "job", dataset=rows, **needs)
    return fuse(order, Silent())


def same(found: Dense, wanted: Dense, within: float) -> None:
    assert found.keys() == wanted.keys()
    for module, update in wanted.items():
        assert relative(found[module], update) < within, module


def test_every_method_has_a_function_and_a_dense_reference() -> None:
    """A test marked `dense_reference(method)` runs the method and compares, or it fails."""
    assert set(FUSION_METHODS.values()) == set(METHODS)
    here = Path(__file__)
    assert referenced(here.parent, leave_out=here.name).keys() == FUSION_METHODS.keys()


@pytest.mark.parametrize("method", [*_LINEAR, "warm_start", *_WITH_EXAMPLES])
def test_plain_peft_loads_it_and_gives_the_logits_of_its_dense_updates(
    method: str, tiny_llama: Path, host: Path, tmp_path: Path, rows: DataFile
) -> None:
    """Of refresh and distil, whose donors must end their answers, the tests of their own say it."""
    start = {"start": "copy"} if method == "warm_start" else {}
    found = made(method, DONORS, tiny_llama, host, tmp_path, rows, **start).folder
    base = host if issubclass(FUSION_METHODS[method], Transfer) else tiny_llama
    wanted = logits(with_added(base, read(found)))
    assert relative(logits(load(base, found)), wanted) < 1e-5
    assert relative(logits(load(base)), wanted) > 1e-5


@pytest.mark.parametrize("method", [*_LINEAR, *_WITH_EXAMPLES])
def test_other_factors_of_the_same_updates_change_nothing(
    method: str, tiny_llama: Path, host: Path, tmp_path: Path, rows: DataFile
) -> None:
    turned = {name: gauged(donor, seed) for seed, (name, donor) in enumerate(DONORS.items())}
    plain = made(method, DONORS, tiny_llama, host, tmp_path / "plain", rows)
    other = made(method, turned, tiny_llama, host, tmp_path / "turned", rows)
    same(read(other.folder), read(plain.folder), 1e-3)


@pytest.mark.parametrize("method", _LINEAR)
def test_a_larger_donor_gives_an_adapter_larger_by_as_much(
    method: str, tiny_llama: Path, host: Path, tmp_path: Path, rows: DataFile
) -> None:
    larger = {name: times(donor, 3.0) for name, donor in DONORS.items()}
    plain = made(method, DONORS, tiny_llama, host, tmp_path / "plain", rows)
    wanted = {module: 3 * update for module, update in read(plain.folder).items()}
    found = made(method, larger, tiny_llama, host, tmp_path / "larger", rows)
    same(read(found.folder), wanted, 1e-3)


@pytest.mark.parametrize("method", _WITH_EXAMPLES)
def test_the_order_of_the_adapters_changes_nothing(
    method: str, tiny_llama: Path, host: Path, tmp_path: Path, rows: DataFile
) -> None:
    plain = made(method, DONORS, tiny_llama, host, tmp_path / "plain", rows)
    turned = dict(reversed(DONORS.items()))
    other = made(method, turned, tiny_llama, host, tmp_path / "turned", rows)
    same(read(other.folder), read(plain.folder), 1e-3)


@pytest.mark.parametrize("method", [*_LINEAR, "distil", "refresh", *_WITH_EXAMPLES])
def test_a_donor_that_changes_nothing_gives_nothing(
    method: str, tiny_llama: Path, host: Path, tmp_path: Path, rows: DataFile
) -> None:
    zero = {name: times(donor, 0.0) for name, donor in DONORS.items()}
    with pytest.raises(NoOp):
        made(method, zero, tiny_llama, host, tmp_path, rows)


@pytest.mark.parametrize("method", FUSION_METHODS)
def test_a_donor_with_nans_is_refused(
    method: str, tiny_llama: Path, host: Path, tmp_path: Path, rows: DataFile
) -> None:
    broken = {name: times(donor, float("nan")) for name, donor in DONORS.items()}
    with pytest.raises(UserError, match="NaN"):
        made(method, broken, tiny_llama, host, tmp_path, rows)
    assert torch.isfinite(logits(load(tiny_llama))).all()
