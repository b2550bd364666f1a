"""What ends an evaluation by name."""

import math
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from judged import adapters, order
from shared.errors import NoOp, NotFinite, UnsupportedAdapter
from tiny_bases import write_adapter
from worker.evaluation import evaluate
from worker.reporting import Silent

__all__ = ["adapters", "order"]


def test_an_adapter_that_changes_nothing_ends_the_evaluation_by_name(order, tiny_llama, tmp_path):
    zero = write_adapter(tiny_llama, tmp_path / "zero", scale=1e-12)
    with pytest.raises(NoOp, match='NO-OP: adapter "zero" loads, but changes no logit'):
        evaluate(order(adapters={"zero": zero}), Silent())


def test_an_adapter_of_another_base_ends_the_evaluation_by_name(order, tiny_glm, tmp_path):
    foreign = write_adapter(tiny_glm, tmp_path / "foreign")
    with pytest.raises((NoOp, UnsupportedAdapter), match="foreign"):
        evaluate(order(adapters={"foreign": foreign}), Silent())


def test_a_nan_adapter_ends_the_evaluation_by_name(order, tiny_llama, tmp_path):
    broken = write_adapter(tiny_llama, tmp_path / "broken", scale=math.nan)
    with pytest.raises(UnsupportedAdapter, match=r"broken.*NaN"):
        evaluate(order(adapters={"broken": broken}), Silent())


def test_a_base_that_yields_nan_is_named_with_its_benchmark(order, tiny_llama, tmp_path):
    model: Any = AutoModelForCausalLM.from_pretrained(tiny_llama)
    with torch.no_grad():
        model.model.embed_tokens.weight[40:] = math.nan
    model.save_pretrained(tmp_path / "nan")
    AutoTokenizer.from_pretrained(tiny_llama).save_pretrained(tmp_path / "nan")
    with pytest.raises(NotFinite):
        evaluate(order(base=tmp_path / "nan"), Silent())
