"""Layers that run twice: the same numbers with less kept, asked for or where memory is short."""

from pathlib import Path
from typing import Any

import pytest
import torch

from orders_of import order_for
from shared.errors import InvalidSpec
from tiny_chatglm import make_chatglm
from worker.reporting import Silent
from worker.training import room, train

KINDS: dict[str, dict[str, Any]] = {
    "lora": {"dropout": 0.1},
    "padded": {"packing": False, "also_train": "head"},
    "prefix": {"tuning": "prefix", "virtual_tokens": 3},
    "full": {"tuning": "full"},
}
ATTENTION = torch.nn.functional.scaled_dot_product_attention
SAID = "info: layers run twice to save memory (recompute)"


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_changes_bit_for_bit(
    kind: str, tiny_llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = {}
    for wanted in ("off", "on"):
        order = order_for(
            tiny_llama, tmp_path / wanted, recompute=wanted, max_steps=3, **KINDS[kind]
        )
        report, calls = Silent(), []

        def counted(*args: Any, calls: list[int] = calls, **kwargs: Any) -> Any:
            calls.append(1)
            return ATTENTION(*args, **kwargs)

        with monkeypatch.context() as patched:
            patched.setattr(torch.nn.functional, "scaled_dot_product_attention", counted)
            train(order, report)
        [weights] = order.out.glob("*.safetensors")
        ran[wanted] = (weights.read_bytes(), [values["loss"] for _, values in report.steps])
        ran[f"{wanted} calls"] = len(calls)
        assert (SAID in report.lines) == (wanted == "on")
    assert ran["on"] == ran["off"]
    assert ran["on calls"] > ran["off calls"]


def test_auto_does_so_where_memory_is_short_and_after_it_ran_out(
    tiny_llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    enough, short = Silent(), Silent()
    order = order_for(tiny_llama, tmp_path / "a", max_steps=1)
    train(order, enough)
    monkeypatch.setattr(room, "free_bytes", lambda device: 1 << 16)
    train(order_for(tiny_llama, tmp_path / "b", max_steps=1), short)
    assert (SAID in enough.lines, SAID in short.lines) == (False, True)
    monkeypatch.undo()
    again = Silent()
    train(order.model_copy(update={"halvings": 1, "folder": tmp_path / "again"}), again)
    assert SAID in again.lines


def test_a_prefix_that_is_a_cache_does_not_allow_it(tmp_path: Path) -> None:
    base = make_chatglm(tmp_path / "base")
    values: dict[str, Any] = {"tuning": "prefix", "packing": False, "template": "chatglm"}
    with pytest.raises(InvalidSpec, match="recompute: a prefix"):
        train(order_for(base, tmp_path, recompute="on", **values), Silent())
