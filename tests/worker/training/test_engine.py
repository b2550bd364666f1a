"""Whole trainings of tiny bases: the adapter they leave, and how they fail."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from orders_of import ROWS, order_for
from shared.errors import (
    InvalidSpec,
    NoOp,
    NotFinite,
    NothingToTrain,
    OutOfMemory,
    RankTooLarge,
    ReloadMismatch,
    ResumeRefused,
)
from shared.templates import fingerprint
from tiny_bases import make_llama
from worker import checkpoints
from worker.checkpoints import load_base, probe_logits
from worker.reporting import Silent
from worker.training import Place, adapter, loop, stepping, train, train_adapter


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "adapter_model.safetensors")


@pytest.mark.parametrize("base", ["tiny_llama", "tiny_glm"])
def test_the_loss_falls_and_plain_peft_loads_the_adapter(
    base: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    folder = request.getfixturevalue(base)
    report = Silent()
    made = train(order_for(folder, tmp_path, max_steps=12, learning_rate=0.02), report)
    losses = [values["loss"] for _, values in report.steps]
    assert losses[-1] < 0.7 * losses[0]
    bare: Any = AutoModelForCausalLM.from_pretrained(folder)
    without = probe_logits(bare)
    change = (probe_logits(PeftModel.from_pretrained(bare, str(made.folder))) - without).abs().max()
    assert float(change) == pytest.approx(made.facts["logit_change"], rel=1e-4)


def test_the_folder_and_the_result_say_how_the_adapter_was_made(
    tiny_llama: Path, tmp_path: Path
) -> None:
    made = train(order_for(tiny_llama, tmp_path, rank=3, epochs=2, batch_size=4), Silent())
    assert json.loads((made.folder / "graft.json").read_text()) == made.facts
    assert made.rank == 3
    expected = {
        "base": "tiny-llama", "dataset": "rows", "template": "auto", "rank": 3, "alpha": 16.0,
        "template_fingerprint": fingerprint("auto"), "rows": len(ROWS), "rows_cut": 0,
        "steps": len(ROWS) // 2,
    }  # fmt: skip
    assert {key: made.facts[key] for key in expected} == expected
    assert "gate_proj" in made.facts["target_modules"]
    assert 0 < made.facts["trained_tokens"] < made.facts["tokens"]


def test_every_step_reports_its_numbers_and_the_phases_come_in_order(
    tiny_llama: Path, tmp_path: Path
) -> None:
    report = Silent()
    train(order_for(tiny_llama, tmp_path, max_steps=3), report)
    assert [step for step, _ in report.steps] == [1, 2, 3]
    assert set(report.steps[0][1]) == {
        "loss", "learning_rate", "grad_norm", "tokens_per_s", "labels_per_s",
    }  # fmt: skip
    assert report.done == (3, 3, "steps")
    assert report.phases == ["reading data", "loading base", "training", "checking"]


def test_micro_batches_padding_and_packing_do_not_change_the_result(
    tiny_llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    for micro, halvings, spare in ((0, 0, -1), (2, 0, -1), (0, 0, 10**6), (2, 0, 64), (8, 2, 0)):
        monkeypatch.setattr(stepping, "_SPARE_CPU", spare)
        folder = tmp_path / f"{micro}-{halvings}-{spare}"
        values = {"max_steps": 3, "batch_size": 8, "micro_batch_size": micro}
        order = order_for(tiny_llama, folder, packing=spare < 0, **values)
        report = Silent()
        result = train(order.model_copy(update={"halvings": halvings}), report)
        made.append((weights(result.folder), report.steps[-1][1]["loss"]))
    for other, loss in made[1:]:
        assert loss == pytest.approx(made[0][1], rel=1e-4)
        for key, value in made[0][0].items():
            torch.testing.assert_close(other[key], value, rtol=1e-3, atol=2e-5)


def test_the_seed_decides_everything_random(tiny_llama: Path, tmp_path: Path) -> None:
    runs = []
    for number, seed in enumerate((5, 5, 6)):
        torch.manual_seed(number)
        order = order_for(tiny_llama, tmp_path / str(number), max_steps=2, seed=seed, dropout=0.2)
        runs.append(weights(train(order, Silent()).folder))
    assert all(torch.equal(runs[0][key], runs[1][key]) for key in runs[0])
    assert not any(torch.equal(runs[0][key], runs[2][key]) for key in runs[0])


def test_rows_limits_the_data_to_a_choice_of_the_seed(tiny_llama: Path, tmp_path: Path) -> None:
    report = Silent()
    made = train(order_for(tiny_llama, tmp_path, rows=5, epochs=1, batch_size=2), report)
    assert (made.facts["rows"], made.facts["steps"]) == (5, 3)


def test_max_length_is_lowered_to_what_the_base_can_read(tmp_path: Path) -> None:
    base = make_llama(tmp_path / "short", max_position_embeddings=130)
    report = Silent()
    train(order_for(base, tmp_path, max_steps=1, max_length=512), report)
    assert any("max_length 512 is lowered" in line for line in report.lines)


def test_rows_in_memory_train_an_adapter_and_leave_the_base_bare(
    tiny_glm: Path, tmp_path: Path
) -> None:
    order = order_for(tiny_glm, tmp_path, max_steps=2)
    assert order.base is not None
    model, tokenizer = load_base(order.base, "cpu", "fp32")
    bare = probe_logits(model)
    place = Place(base=order.base, dataset="answers", out=tmp_path / "o", checkpoints=tmp_path)
    spec: Any = order.spec
    made = train_adapter(model, tokenizer, ROWS, spec, "alpaca-zh", place, Silent())
    assert made.facts["template"] == "alpaca-zh"
    assert torch.equal(probe_logits(model), bare)
    assert not any("lora" in name for name, _ in model.named_modules())


def test_a_rank_above_the_narrowest_module_is_refused(tiny_llama: Path, tmp_path: Path) -> None:
    with pytest.raises(RankTooLarge, match=r"Rank 33 .*narrowest adapted matrix has\s+32"):
        train(order_for(tiny_llama, tmp_path, rank=33), Silent())


def test_a_target_the_base_lacks_is_refused(tiny_glm: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidSpec, match="no linear module up_proj"):
        train(order_for(tiny_glm, tmp_path, target_modules=["up_proj"]), Silent())


def test_rows_that_leave_no_answer_are_refused(tiny_llama: Path, tmp_path: Path) -> None:
    with pytest.raises(NothingToTrain, match='"rows"'):
        train(order_for(tiny_llama, tmp_path, max_length=8), Silent())


def test_a_loss_that_is_no_number_stops_the_job_at_its_step(tmp_path: Path) -> None:
    base = make_llama(tmp_path / "broken")
    tensors = load_file(base / "model.safetensors")
    tensors["model.norm.weight"].fill_(float("nan"))
    save_file(tensors, base / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(NotFinite, match="the loss became NaN or infinite at step 1"):
        train(order_for(base, tmp_path), Silent())


def test_an_adapter_that_changes_nothing_is_not_written(tiny_llama: Path, tmp_path: Path) -> None:
    order = order_for(tiny_llama, tmp_path, max_steps=1, learning_rate=1e-30)
    with pytest.raises(NoOp, match="after 1 steps the adapter moves no logit"):
        train(order, Silent())
    assert not order.out.exists()


def test_an_adapter_that_reads_back_differently_is_not_published(
    tiny_llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoil(folder: Path, *rest: Any) -> None:
        checkpoints.write_adapter(folder, *rest)
        path = folder / "adapter_model.safetensors"
        save_file({key: value * 1.5 for key, value in load_file(path).items()}, path)

    monkeypatch.setattr(adapter, "write_adapter", spoil)
    with pytest.raises(ReloadMismatch, match="other bits in the file"):
        train(order_for(tiny_llama, tmp_path, max_steps=2, learning_rate=0.02), Silent())


@pytest.mark.parametrize("tuning", ["lora", "dora"])
def test_a_base_in_bf16_gets_its_adapter_though_peft_rounds_otherwise(
    tiny_llama: Path, tmp_path: Path, tuning: str
) -> None:
    order = order_for(
        tiny_llama, tmp_path, precision="bf16", tuning=tuning, max_steps=12, learning_rate=0.02
    )
    assert float(train(order, Silent()).facts["logit_change"]) > 0


def test_what_plain_peft_computes_from_the_file_must_be_what_was_trained(
    tiny_llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rescaled(folder: Path, config: Any, *rest: Any) -> None:
        config.lora_alpha *= 1.5
        checkpoints.write_adapter(folder, config, *rest)

    monkeypatch.setattr(adapter, "write_adapter", rescaled)
    for precision in ("fp32", "bf16"):
        order = order_for(
            tiny_llama, tmp_path, precision=precision, max_steps=12, learning_rate=0.05
        )
        with pytest.raises(ReloadMismatch, match="a logit differs"):
            train(order, Silent())


def test_a_full_device_is_named(
    tiny_llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("tried to allocate 3 GiB\nmore")

    monkeypatch.setattr(loop, "run", full)
    with pytest.raises(OutOfMemory, match=r"\(tried to allocate 3 GiB\)"):
        train(order_for(tiny_llama, tmp_path), Silent())


def test_an_unknown_checkpoint_is_refused(tiny_llama: Path, tmp_path: Path) -> None:
    order = order_for(tiny_llama, tmp_path)
    with pytest.raises(ResumeRefused, match="step-7"):
        train(order.model_copy(update={"resume_from": tmp_path / "step-7"}), Silent())
