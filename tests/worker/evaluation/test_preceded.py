"""A base behind a trained prefix has plain PEFT's numbers, in evaluations and in conversations."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModelForCausalLM
from safetensors.torch import load_file, save_file

from orders_of import base_files, order_for
from shared.errors import NoOp, UnsupportedAdapter
from shared.evaluations import read_result
from shared.orders import AdapterFiles, DataFile, WorkOrder
from shared.specs import EvaluationSpec
from shared.storage import file_sha256
from tiny_bases import write_adapter, write_prefix
from tiny_chatglm import IDS, make_chatglm
from worker.chat.speaking import Line, speak
from worker.checkpoints import load_base
from worker.evaluation import evaluate
from worker.evaluation.arms import Arms
from worker.evaluation.decoding import Decoding, decode_all
from worker.evaluation.scoring import packing_fits, score
from worker.evaluation.trees import Tree
from worker.reporting import Silent
from worker.training import train

BASES = ["tiny_llama", "tiny_glm", "chatglm"]
WEIGHTS = "adapter_model.safetensors"


@pytest.fixture(params=BASES)
def base(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if request.param == "chatglm":
        return make_chatglm(tmp_path / "chatglm")
    return request.getfixturevalue(request.param)


@pytest.fixture
def prefix(base: Path, tmp_path: Path) -> Path:
    return write_prefix(load(base), tmp_path / "prefix")


def load(base: Path) -> Any:
    return load_base(base_files(base), "cpu", "fp32")[0]


def of(base: Path, **folders: Path) -> list[AdapterFiles]:
    files = base_files(base)
    return [AdapterFiles(name=name, folder=each, base=files) for name, each in folders.items()]


def asked(base: Path, count: int) -> list[list[int]]:
    """Prompts of several lengths; most begin alike, and ChatGLM's end as its own do."""
    draw = torch.Generator().manual_seed(0)
    low, most = (5, 24) if base.name == "chatglm" else (4, 300)
    drawn = [torch.randint(low, most, (30,), generator=draw).tolist() for _ in range(count)]
    ends = [IDS["[gMASK]"], IDS["<sop>"]] if base.name == "chatglm" else []
    return [drawn[0][:10] + each[: 2 + 3 * n] + ends for n, each in enumerate(drawn)]


def plain(base: Path, folder: Path) -> Any:
    return PeftModelForCausalLM.from_pretrained(load(base), str(folder)).eval()


@pytest.mark.parametrize("packed", [True, False])
def test_scores_are_those_of_plain_peft(base: Path, prefix: Path, packed: bool) -> None:
    arms = Arms(load(base), None, of(base, mine=prefix))
    peer = plain(base, prefix)
    trees = [Tree(ids, [[7, 9, 8], [11], [6, 6]]) for ids in asked(base, 6)]
    with arms.switched_to("mine") as (model, stack), torch.inference_mode():
        assert stack is None
        fits = packing_fits(arms.model)
        assert fits == (base.name != "chatglm")
        packed = packed and fits
        found = score(model, trees, batch_tokens=256, packed=packed)
        for tree, values in zip(trees, found, strict=True):
            for ending, value in zip(tree.endings, values, strict=True):
                ids = torch.tensor([tree.context + ending])
                logs = peer(input_ids=ids).logits[0].double().log_softmax(-1)
                first = len(tree.context) - 1
                expected = sum(logs[first + n, token].item() for n, token in enumerate(ending))
                assert value == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("packed", [True, False])
def test_answers_are_those_of_plain_peft_token_by_token(
    base: Path, prefix: Path, packed: bool
) -> None:
    arms = Arms(load(base), None, of(base, mine=prefix))
    peer, prompts = plain(base, prefix), asked(base, 6)
    with arms.switched_to("mine") as (model, _), torch.inference_mode():
        how = Decoding(
            ends=frozenset(), max_new_tokens=6, batch_tokens=4096,
            packed=packed and packing_fits(arms.model),
        )  # fmt: skip
        [found] = decode_all(model, prompts, how)
        for prompt, answer in zip(prompts, found, strict=True):
            ids = list(prompt)
            for _ in range(6):
                ids.append(int(peer(input_ids=torch.tensor([ids])).logits[0, -1].argmax()))
            assert answer.tokens == ids[len(prompt) :]


def test_it_talks_beside_the_base_and_a_lora_as_each_would_alone(
    tiny_llama: Path, tmp_path: Path
) -> None:
    folders = {
        "prefix": write_prefix(load(tiny_llama), tmp_path / "prefix"),
        "lora": write_adapter(tiny_llama, tmp_path / "lora", scale=0.4),
    }
    model, tokenizer = load_base(base_files(tiny_llama), "cpu", "fp32")
    arms = Arms(model, tokenizer, of(tiny_llama, **folders))
    packed = packing_fits(arms.model)
    assert packed
    how = Decoding(ends=frozenset(), max_new_tokens=8, batch_tokens=0, packed=packed)
    lines = [Line(name, asked(tiny_llama, 1)[0]) for name in ("base", "prefix", "lora")]
    *_, last = speak(arms, lines, how)
    together = [answer.tokens for answer, over in last if over]
    alone = []
    for line in lines:
        with arms.switched_to(line.model) as (switched, stack):
            [[answer]] = decode_all(switched, [line.prompt], how, stack=stack)
            alone.append(answer.tokens)
    assert together == alone
    assert len({tuple(each) for each in together}) == 3


def test_a_trained_prefix_is_evaluated_beside_others(tiny_llama: Path, tmp_path: Path) -> None:
    values = {"tuning": "prefix", "virtual_tokens": 4, "learning_rate": 0.3, "max_steps": 6}
    made = train(order_for(tiny_llama, tmp_path / "train", **values), Silent())
    quiz = tmp_path / "quiz.jsonl"
    rows = [
        {"id": str(n), "prompt": f"What is {n} + {n}?", "choices": ["a", "none of it"], "answer": 0}
        for n in range(6)
    ]
    quiz.write_text("".join(json.dumps(row | {"lang": "en"}) + "\n" for row in rows))
    lora = write_adapter(tiny_llama, tmp_path / "lora")
    margins = {}
    for names in ({"prefix": made.folder, "lora": lora}, {"lora": lora}):
        spec = {"name": "c", "base_model": "tiny", "adapters": list(names), "benchmarks": ["quiz"]}
        order = WorkOrder(
            job_id="j", epoch=1, spec=EvaluationSpec.model_validate(spec),
            base=base_files(tiny_llama), adapters=of(tiny_llama, **names),
            benchmarks=[DataFile(name="quiz", path=quiz, sha256=file_sha256(quiz))],
            folder=tmp_path / "-".join(names),
        )  # fmt: skip
        evaluate(order, Silent())
        margins[len(names)] = {
            part.arm: [item.values["margin"] for item in part.items]
            for part in read_result(order.out).parts
        }
    assert set(margins[2]) == {"base", "prefix", "lora"}
    assert margins[2]["prefix"] != margins[2]["base"]
    for arm in ("base", "lora"):
        assert margins[2][arm] == pytest.approx(margins[1][arm], abs=1e-4)


def test_what_the_base_reads_is_shorter_by_the_prefix(tiny_llama: Path, tmp_path: Path) -> None:
    folder = write_prefix(load(tiny_llama), tmp_path / "prefix", tokens=7)
    assert Arms(load(tiny_llama), None, of(tiny_llama, mine=folder)).ahead == 7
    assert Arms(load(tiny_llama), None, ()).ahead == 0


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda x: x[:, :-16], r"prompt_embeddings are \[5, 112\]"),
        (lambda x: x * torch.nan, "holds NaN"),
    ],
)
def test_a_prefix_that_does_not_fit_is_refused(
    change: Any, reason: str, tiny_llama: Path, tmp_path: Path
) -> None:
    folder = write_prefix(load(tiny_llama), tmp_path / "prefix")
    weights = {
        name: change(each).contiguous() for name, each in load_file(folder / WEIGHTS).items()
    }
    save_file(weights, folder / WEIGHTS, {"format": "pt"})
    with pytest.raises(UnsupportedAdapter, match=reason):
        Arms(load(tiny_llama), None, of(tiny_llama, mine=folder))


def test_a_prefix_that_nothing_hears_is_no_arm(tiny_llama: Path, tmp_path: Path) -> None:
    """Attention whose output goes nowhere."""
    model = load(tiny_llama)
    folder = write_prefix(model, tmp_path / "prefix", tokens=1)
    for layer in model.model.layers:
        layer.self_attn.o_proj.weight.data.zero_()
    with pytest.raises(NoOp, match="mine"):
        Arms(model, None, of(tiny_llama, mine=folder))
