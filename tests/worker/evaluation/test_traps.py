"""The traps that lm-eval 0.4.13 and PEFT were seen to spring, each held shut by a test.

Traps 2, 4, 7, 8 and 12 have further tests beside the code that avoids them.
"""

import json
import multiprocessing
import socket
from pathlib import Path

import numpy as np
import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from shared.errors import NoOp
from shared.evaluations import ItemRow
from shared.instructions import Check
from shared.metrics import METRICS, aggregate
from shared.orders import AdapterFiles, BaseFiles, DataFile, WorkOrder
from shared.specs import EvaluationSpec
from shared.statistics import compare, estimate, sample
from shared.storage import file_sha256
from tiny_bases import make_llama, make_tokenizer, write_adapter
from worker.checkpoints import attach_adapter, load_base
from worker.evaluation import evaluate
from worker.evaluation.arms import Arms
from worker.evaluation.scoring import score, score_all
from worker.evaluation.text import answer_values
from worker.evaluation.trees import Tree
from worker.reporting import Silent

TREES = [Tree([1, *range(20, 32), 40 + n], [[50 + n, 60], [70, 80 + n], [90]]) for n in range(6)]


def base_of(folder: Path) -> BaseFiles:
    return BaseFiles(name="tiny", location=str(folder), fingerprint="f")


def arms_of(base: Path, **adapters: Path) -> Arms:
    model, tokenizer = load_base(base_of(base), "cpu", "fp32")
    files = [AdapterFiles(name=n, folder=f, base=base_of(base)) for n, f in adapters.items()]
    return Arms(model, tokenizer, files)


def alone(base: Path, adapter: Path, tree: Tree) -> list[float]:
    """A tree's scores by PEFT's own loader, one row an ending, every logit."""
    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), str(adapter))
    found = []
    for ending in tree.endings:
        ids = torch.tensor([tree.context + ending])
        with torch.inference_mode():
            logs = model.eval()(input_ids=ids).logits[0].double().log_softmax(-1)
        start = len(tree.context) - 1
        found.append(sum(logs[start + n, token].item() for n, token in enumerate(ending)))
    return found


def run(tmp_path: Path, base: Path, rows: list[dict], folder: str, **adapters: Path):
    path = tmp_path / "set.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    spec = EvaluationSpec(
        name="c", base_model="tiny", adapters=list(adapters), benchmarks=["set"], max_new_tokens=4
    )
    order = WorkOrder(
        job_id="j", epoch=1, spec=spec, base=base_of(base), folder=tmp_path / folder,
        benchmarks=[DataFile(name="set", path=path, sha256=file_sha256(path))],
        adapters=[AdapterFiles(name=n, folder=f, base=base_of(base)) for n, f in adapters.items()],
    )  # fmt: skip
    return evaluate(order, Silent()).parts


def test_trap_1_an_adapter_does_not_resize_a_padded_vocabulary(tmp_path):
    base = make_llama(tmp_path / "padded")
    make_tokenizer(300).save_pretrained(base)
    adapter = write_adapter(base, tmp_path / "adapter")
    arms = arms_of(base, one=adapter)
    assert arms.model.get_output_embeddings().weight.shape[0] > len(arms.tokenizer)
    with arms.switched_to("one") as (model, stack), torch.inference_mode():
        [found] = score_all(model, TREES, batch_tokens=512, packed=True, stack=stack)
    assert found[0] == pytest.approx(alone(base, adapter, TREES[0]), abs=1e-4)


def test_trap_2_bf16_weights_leave_no_ties_between_choices(tiny_llama):
    model = AutoModelForCausalLM.from_pretrained(tiny_llama, dtype=torch.bfloat16).eval()
    with torch.inference_mode():
        found = score(model, TREES, batch_tokens=512, packed=True)
        plain = score(model, TREES, batch_tokens=1, packed=False)
    assert all(len(set(values)) == len(values) for values in found)
    for tree, values in zip(TREES, plain, strict=True):
        for ending, value in zip(tree.endings, values, strict=True):
            # The model's own bf16 logits; only what follows them is in fp32.
            with torch.inference_mode():
                logits = model(input_ids=torch.tensor([tree.context + ending[:-1]])).logits[0]
            logs = logits[-len(ending) :].double().log_softmax(-1)
            wanted = logs.gather(1, torch.tensor(ending)[:, None]).sum().item()
            assert value == pytest.approx(wanted, abs=1e-3)


def test_trap_3_a_second_adapter_never_gets_the_first_ones_answers(tiny_llama, tmp_path):
    """Neither from a cache of answers nor through the keys and values of a shared beginning."""
    folders = {
        name: write_adapter(tiny_llama, tmp_path / name, seed=seed, scale=0.3)
        for seed, name in enumerate(("one", "two"))
    }
    arms = arms_of(tiny_llama, **folders)
    with arms.switched_to("one", "two") as (model, stack), torch.inference_mode():
        together = score_all(model, TREES, batch_tokens=512, packed=True, stack=stack)
    for name, found in zip(folders, together, strict=True):
        assert found[5] == pytest.approx(alone(tiny_llama, folders[name], TREES[5]), abs=1e-4)


def test_trap_4_an_edited_file_of_the_same_name_is_read_anew(tiny_llama, tmp_path):
    row = {"prompt": "Where?", "choices": ["here", "there"], "answer": 0, "lang": "en"}
    [before] = run(tmp_path, tiny_llama, [row], "a1")
    [after] = run(tmp_path, tiny_llama, [row | {"prompt": "Where is the river?"}], "a2")
    assert before.items[0].item_hash != after.items[0].item_hash
    assert before.items[0].values["margin"] != after.items[0].values["margin"]


def rows_of_bits(offset: float) -> list[ItemRow]:
    draw = np.random.default_rng(int(offset))
    return [
        ItemRow(item_id=str(n), item_hash=str(n), lang="en",
                values={"bits": 90.0 + offset + float(draw.normal()), "bytes": 60.0})
        for n in range(120)
    ]  # fmt: skip


def _compare_in_child() -> None:
    found = compare(*(sample(rows_of_bits(n), "bits_per_byte") for n in (0.0, 1.0)), draws=200)
    if not found.low < found.value < found.high:
        raise SystemExit(2)


def test_trap_5_the_bootstrap_runs_inside_a_daemonic_worker():
    child = multiprocessing.get_context("fork").Process(target=_compare_in_child, daemon=True)
    child.start()
    child.join(60)
    assert child.exitcode == 0


def test_trap_6_every_metric_has_an_interval():
    for metric in METRICS.values():
        rows = [
            ItemRow(item_id=str(n), item_hash=str(n), lang="en",
                    values={key: float(n % 2) + (key == "bytes") for key in metric.keys})
            for n in range(40)
        ]  # fmt: skip
        found = estimate(sample(rows, metric), draws=200)
        assert found.low < found.value < found.high, metric.name


def test_trap_7_an_evaluation_opens_no_connection(tiny_llama, tmp_path, monkeypatch):
    def refused(*_, **__):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refused)
    rows = [{"prompt": "Name it.", "references": ["a river"], "lang": "en"}]
    [part] = run(tmp_path, tiny_llama, rows, "a1")
    wanted = {name for name, metric in METRICS.items() if metric.shape == "generate"}
    assert set(part.metrics) == wanted


def test_trap_8_partial_scores_over_several_references_stay_partial():
    values = answer_values("the river runs", ["the river sleeps", "no match at all"])
    assert 0 < values["rougeL"] < 1
    assert 0 < values["chrf"] < 1
    assert values["exact_match"] == 0


def test_trap_9_each_item_brings_its_own_solved_examples_in_its_prompt(tiny_llama, tmp_path):
    """Examples are put into prompts before the engine, so they may differ from item to item."""
    row = {"prompt": "sea: water\nhill:", "choices": ["stone", "water"], "answer": 0, "lang": "en"}
    other = row | {"prompt": "hill: stone\nhill:"}
    [part] = run(tmp_path, tiny_llama, [row, other], "a1")
    assert part.items[0].values["margin"] != part.items[1].values["margin"]


def test_trap_10_instruction_checks_need_no_downloads_and_speak_chinese(monkeypatch):
    monkeypatch.setattr(socket.socket, "connect", None)
    assert Check(kind="sentences", value=2).passes("It costs 3.50. Good!")
    assert Check(kind="sentences", value=2).passes("今天下雨。明天放晴！")
    assert Check(kind="upper_case").passes("ALL OF IT")


def test_trap_11_a_long_text_weighs_as_much_as_its_bytes():
    rows = [
        ItemRow(item_id="s", item_hash="s", lang="en", values={"bits": 40.0, "bytes": 10.0}),
        ItemRow(item_id="l", item_hash="l", lang="en", values={"bits": 990.0, "bytes": 990.0}),
    ]
    found = aggregate(rows, "continuation")["bits_per_byte"]["all"]
    assert found == pytest.approx(1030 / 1000)


def test_trap_12_an_adapter_that_does_nothing_is_an_error_not_the_base(tiny_llama, tmp_path):
    adapter = write_adapter(tiny_llama, tmp_path / "zero", scale=0.0)
    with pytest.raises(NoOp, match="changes no logit"):
        arms_of(tiny_llama, zero=adapter)
    foreign = write_adapter(make_llama(tmp_path / "deep", num_hidden_layers=4), tmp_path / "deep-a")
    with pytest.raises(Exception, match="deep-a"):
        attach_adapter(AutoModelForCausalLM.from_pretrained(tiny_llama), foreign)
