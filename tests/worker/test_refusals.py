"""Broken adapters at every way in: each is refused by name, in both languages, before any load."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from fusions import base_files
from shared import adapter_files
from shared.errors import GraftError, NoOp, UnsupportedAdapter, WrongBase
from shared.orders import AdapterFiles, DataFile, WorkOrder
from shared.specs import parse_spec
from tiny_bases import make_llama, write_adapter
from worker import checkpoints
from worker.chat import chat
from worker.evaluation import evaluate
from worker.fusion import fuse
from worker.reporting import Silent

WEIGHTS = adapter_files.WEIGHTS
Tensors = dict[str, torch.Tensor]


def rewritten(folder: Path, change: Callable[[Tensors], Tensors]) -> None:
    path = folder / WEIGHTS
    save_file(change(load_file(path)), path)


def without_halves(folder: Path) -> None:
    rewritten(folder, lambda held: {k: v for k, v in held.items() if "q_proj.lora_B" not in k})


def of_other_names(folder: Path) -> None:
    rewritten(
        folder, lambda held: {k.replace("self_attn", "attention"): v for k, v in held.items()}
    )


def of_other_sizes(folder: Path) -> None:
    rewritten(folder, lambda held: {k: torch.cat([v, v], 1) if "_A" in k else v
                                    for k, v in held.items()})  # fmt: skip


def with_a_nan(folder: Path) -> None:
    def hole(held: Tensors) -> Tensors:
        held[max(held)][0, 0] = float("nan")
        return held

    rewritten(folder, hole)


def without_effect(folder: Path) -> None:
    rewritten(folder, lambda held: {k: v * ("_A" in k) for k, v in held.items()})


def pickled(folder: Path) -> None:
    (folder / WEIGHTS).rename(folder / "adapter_model.bin")


def cut(folder: Path) -> None:
    (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:-20])


def of_another_kind(folder: Path) -> None:
    path = folder / adapter_files.CONFIG
    path.write_text(json.dumps(json.loads(path.read_text()) | {"peft_type": "IA3"}))


#: What is broken, the error, and what it says in both languages.
BROKEN: dict[str, tuple[Callable[[Path], None], type[GraftError], str, str]] = {
    "half a pair": (without_halves, UnsupportedAdapter, "one factor only", "只有一个因子"),
    "half of the keys": (of_other_names, UnsupportedAdapter, "2 of its 4 modules do not exist in",
                         "4 个模块中有 2 个不存在于"),
    "other sizes": (of_other_sizes, UnsupportedAdapter, "have other sizes", "尺寸不同"),
    "NaN": (with_a_nan, UnsupportedAdapter, "NaN or infinite", "NaN 或无穷大"),
    "zero effect": (without_effect, NoOp, "one factor is zero", "一个因子为零"),
    "pickle": (pickled, UnsupportedAdapter, "adapter_model.bin is a pickle", "是 pickle"),
    "cut file": (cut, UnsupportedAdapter, "cut short", "不完整"),
    "another kind": (of_another_kind, UnsupportedAdapter, "IA3, not LoRA", "不是 LoRA"),
}  # fmt: skip


@pytest.fixture(scope="module")
def sound(tiny_llama: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    targets = ["q_proj", "down_proj"]
    return write_adapter(tiny_llama, tmp_path_factory.mktemp("a") / "sound", targets=targets)


@pytest.fixture(autouse=True)
def _nothing_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        pytest.fail("a base was loaded")

    monkeypatch.setattr(checkpoints.AutoModelForCausalLM, "from_pretrained", fail)


def fusing(method: str) -> Callable[[AdapterFiles, Path, Path, Path], object]:
    """By a method on one base, beside a sound adapter; a transfer onto another base."""
    moves = method != "weighted_sum"

    def run(broken: AdapterFiles, good: Path, host: Path, folder: Path) -> object:
        beside = [AdapterFiles(name="good", folder=good, base=broken.base)]
        params = {"method": method} | ({"dataset": "d"} if method in ("refresh", "ridge") else {})
        spec = {"kind": "fuse", "name": "x", "adapters": ["good", "broken"], "params": params}
        if moves:
            spec |= {"adapters": ["broken"], "host_base": host.name}
        order = WorkOrder(
            job_id="j", epoch=1, spec=parse_spec(spec), folder=folder,
            base=base_files(host), adapters=[broken] if moves else [*beside, broken],
            dataset=DataFile(name="d", path=folder / "d.json", sha256="-"),
        )  # fmt: skip
        return fuse(order, Silent())

    return run


def evaluating(broken: AdapterFiles, good: Path, host: Path, folder: Path) -> object:
    spec = {
        "kind": "evaluate", "name": "x", "base_model": "b", "adapters": ["broken"],
        "benchmarks": ["c"],
    }  # fmt: skip
    order = WorkOrder(
        job_id="j", epoch=1, spec=parse_spec(spec), folder=folder, base=base_files(host),
        adapters=[broken],
    )  # fmt: skip
    return evaluate(order, Silent())


def chatting(broken: AdapterFiles, good: Path, host: Path, folder: Path) -> object:
    spec = {"kind": "chat", "name": "x", "base_model": "b", "adapters": ["broken"]}
    order = WorkOrder(
        job_id="j", epoch=1, spec=parse_spec(spec), folder=folder, base=base_files(host),
        adapters=[broken],
    )  # fmt: skip
    return chat(order, Talking())


class Talking(Silent):
    def said(self, turn: int, answers: dict[str, Any], *, answered: bool) -> None:
        pytest.fail("an arm answered")


def adding(broken: AdapterFiles, good: Path, host: Path, folder: Path) -> object:
    """What `graft adapters add`, the API's upload and the dashboard's form all do with a folder."""
    known = adapter_files.weights_of("b", Path(broken.base.location))
    return adapter_files.check(broken.name, broken.folder, "b", known)


#: By entry: how it runs, and whether the adapter is used on its own base.
ENTRIES: dict[str, Callable[[AdapterFiles, Path, Path, Path], object]] = {
    "fuse": fusing("weighted_sum"), "copy": fusing("copy"), "ridge": fusing("ridge"),
    "refresh": fusing("refresh"), "evaluate": evaluating, "chat": chatting, "add": adding,
}  # fmt: skip
_TRANSFERS = {"copy", "ridge", "refresh"}


@pytest.mark.parametrize("case", BROKEN)
@pytest.mark.parametrize("entry", ENTRIES)
def test_a_broken_adapter_is_refused_by_name_before_anything_is_loaded(
    entry: str, case: str, sound: Path, tiny_llama: Path, tiny_glm: Path, tmp_path: Path
) -> None:
    spoil, error, english, chinese = BROKEN[case]
    folder = tmp_path / "broken"
    folder.mkdir()
    for file in sound.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    spoil(folder)
    broken = AdapterFiles(name="broken", folder=folder, base=base_files(tiny_llama))
    host = tiny_glm if entry in _TRANSFERS else tiny_llama
    with pytest.raises(error) as refused:
        ENTRIES[entry](broken, sound, host, tmp_path)
    for said, wanted in (
        (refused.value.message("en"), english),
        (refused.value.message("zh"), chinese),
    ):
        assert wanted in said
        assert "broken" in said


@pytest.mark.parametrize("entry", sorted(ENTRIES.keys() - _TRANSFERS - {"add"}))
def test_an_adapter_of_another_base_is_refused_where_nothing_moves_it(
    entry: str, sound: Path, tiny_llama: Path, tmp_path: Path
) -> None:
    """Of another base of the very same shape, which only its fingerprint tells."""
    twin = make_llama(tmp_path / "twin", seed=9)
    broken = AdapterFiles(name="broken", folder=sound, base=base_files(tiny_llama))
    with pytest.raises(WrongBase) as refused:
        ENTRIES[entry](broken, sound, twin, tmp_path)
    assert "tiny-llama" in refused.value.message("en")
    assert "tiny-llama" in refused.value.message("zh")
