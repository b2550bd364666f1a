"""The template of an adapter: its text is stored with it, and transfers and evaluations use it."""

import json
from pathlib import Path

import pytest

from orders_of import base_files, order_for
from shared.errors import InvalidSpec
from shared.orders import AdapterFiles
from shared.specs import EvaluationSpec
from shared.templates import fingerprint
from tiny_bases import make_tokenizer
from worker.evaluation.evaluator import template_of
from worker.fusion.inheritance import inherited
from worker.reporting import Silent
from worker.training import train
from worker.training.data import template_of as template_of_training

SOURCE = (
    "{% for m in messages %}{{ m.role }}> {{ m.content }}{{ eos_token }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant> {% endif %}"
)


def adapter(name: str, template: str) -> AdapterFiles:
    base = base_files(Path("base"))
    return AdapterFiles(name=name, folder=Path(name), base=base, facts={"template": template})


def evaluation(template: str = "adapter") -> EvaluationSpec:
    given = {"name": "e", "base_model": "b", "benchmarks": ["x"], "template": template}
    return EvaluationSpec.model_validate(given)


def test_a_custom_template_is_stored_whole_and_used_again(tiny_llama: Path, tmp_path: Path) -> None:
    report = Silent()
    spec = {"template": "custom", "template_text": SOURCE, "max_steps": 2}
    made = train(order_for(tiny_llama, tmp_path, **spec), report)
    stored = json.loads((made.folder / "graft.json").read_text())
    assert stored["template"] == SOURCE
    assert stored["template_fingerprint"] == fingerprint(SOURCE)
    assert any("user> Name the capital of France." in line for line in report.lines)
    again = AdapterFiles(
        name="mine", folder=made.folder, base=base_files(tiny_llama), facts=made.facts
    )
    assert inherited([again])["template"] == SOURCE
    assert template_of(evaluation(), [again], Silent()) == SOURCE


def test_an_evaluation_asks_as_the_adapters_were_trained_unless_another_is_named() -> None:
    vicuna, belle = adapter("v", "vicuna"), adapter("b", "belle")
    report = Silent()
    assert template_of(evaluation(), [vicuna], report) == "vicuna"
    assert template_of(evaluation("plain"), [vicuna], report) == "plain"
    assert template_of(evaluation(), [], report) == "auto"
    assert report.lines == []
    assert template_of(evaluation(), [vicuna, belle], report) == "auto"
    assert "different templates (belle, vicuna)" in report.lines[0]


def test_the_tokenizers_own_template_is_taken_and_its_lack_named(tmp_path: Path) -> None:
    spec = order_for(tmp_path / "base", tmp_path, template="chat").spec
    tokenizer = make_tokenizer(320)
    with pytest.raises(InvalidSpec, match="has no chat template"):
        template_of_training(spec, tokenizer)  # type: ignore[arg-type]
    tokenizer.chat_template = SOURCE
    assert template_of_training(spec, tokenizer) == SOURCE  # type: ignore[arg-type]
