"""Every family trains, lowers its loss, reloads with the same logits, and is evaluated."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import RwkvConfig, RwkvForCausalLM

from benchmarks.families.bases import BASES, make_base
from benchmarks.families.check import check, training
from shared.families import FAMILIES
from shared.orders import BaseFiles
from worker.checkpoints import load_base
from worker.evaluation.decoding import decode
from worker.recurrence import keeps_state
from worker.reporting import Silent
from worker.training import train
from worker.training.adapter import fresh_adapter

PROMPTS = [[0, 40, 41, 42, 43, 44, 45], [0, 50, 51], [0, 60, 61]]


@pytest.fixture(scope="module", params=BASES)
def base(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_base(request.param, tmp_path_factory.mktemp("family") / "base")


def load(folder: Path) -> Any:
    return load_base(BaseFiles(name="b", location=str(folder), fingerprint=""), "cpu", "fp32")[0]


def test_every_recorded_architecture_is_checked() -> None:
    recorded = {name for family in FAMILIES.values() for name in family.architectures}
    assert recorded - set(BASES) == {"ChatGLMModel"}


def test_it_trains_reloads_with_equal_logits_and_is_evaluated(base: Path, tmp_path: Path) -> None:
    found = check(base, tmp_path)
    assert found.falls, found
    assert found.equal, found
    # Base and adapter, on two choices, two answers and a text.
    assert found.evaluated == 10


def test_answers_decoded_together_are_those_decoded_alone(base: Path) -> None:
    model = load(base)
    # ChatGLM-6B's prompts end in [gMASK] <sop>; to the others these are tokens like any.
    prompts = [[*prompt[1:], 5, 0] if "chatglm" in str(model.config.model_type) else prompt
               for prompt in PROMPTS]  # fmt: skip
    answers = decode(model, prompts, ends=frozenset([1]), max_new_tokens=5, batch_tokens=4096)
    for prompt, answer in zip(prompts, answers, strict=True):
        ids = list(prompt)
        while len(ids) < len(prompt) + 5 and ids[-1] != 1:
            with torch.no_grad():
                ids.append(int(model(input_ids=torch.tensor([ids])).logits[0, -1].argmax()))
        assert answer.tokens == [token for token in ids[len(prompt) :] if token != 1]


def test_p_tuning_of_chatglm_publishes_a_prefix_that_plain_peft_reloads(tmp_path: Path) -> None:
    base = make_base("ChatGLMForConditionalGeneration", tmp_path / "base")
    report = Silent()
    order = training(base, tmp_path, tuning="prefix", max_steps=6, learning_rate=0.1)
    # Publishing reloads the folder with PEFT and compares logits.
    made = train(order, report)
    losses = [values["loss"] for _, values in report.steps]
    assert losses == sorted(losses, reverse=True)
    assert made.facts["logit_change"] > 0


class _Lora:
    rank, alpha, dropout, seed, target_modules = 4, 8.0, 0.0, 0, ()


def test_rwkvs_adapters_count_the_same_in_training_and_in_evaluation(tmp_path: Path) -> None:
    folder = tmp_path / "deep"
    make_base("RwkvForCausalLM", folder)
    RwkvForCausalLM(
        RwkvConfig(
            vocab_size=262, hidden_size=16, num_hidden_layers=4, rescale_every=2,
            bos_token_id=0, eos_token_id=1, context_length=64,
        )
    ).save_pretrained(folder)  # fmt: skip
    model = load(folder)
    assert keeps_state(model)
    parameters: Any = _Lora()
    adapted = fresh_adapter(model, parameters, "rwkv")
    draw = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, weight in adapted.named_parameters():
            if "lora_B" in name:
                weight.copy_(torch.randn(weight.shape, generator=draw))
        ids = torch.tensor([[0, 40, 41, 42, 43]])
        judged = adapted.eval()(input_ids=ids).logits
        trained = adapted.train()(input_ids=ids).logits
    torch.testing.assert_close(judged, trained)
