"""lm-eval's own scores of its tasks, beside ours of the same tasks; only where the extra is."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers.processors import TemplateProcessing

from shared.benchmarks import read_benchmark
from shared.errors import BadTask, FileMissing
from shared.lm_tasks import load, taken
from shared.orders import BaseFiles, DataFile, WorkOrder
from shared.specs import EvaluationSpec
from worker.evaluation import evaluate
from worker.reporting import Silent

lm_eval: Any = pytest.importorskip("lm_eval", reason="needs the extra lm-eval")
pytestmark = pytest.mark.filterwarnings("ignore")

ROWS = [
    {"question": f"Which of these is {n} + {n}?", "choices": [str(2 * n), "none of them", "7"],
     "gold": n % 3, "answer": f"fox {n % 2}", "text": f"The quick brown fox {n} jumps over."}
    for n in range(6)
]  # fmt: skip
ZH = [
    {"question": f"第{n}题：天空是什么颜色？答案：", "choices": ["蓝色的", "红"], "gold": n % 2}
    for n in range(5)
]

CHOICE = """
task: sums
dataset_path: json
dataset_kwargs: {data_files: {test: DATA, train: DATA}}
test_split: test
fewshot_split: train
num_fewshot: 2
output_type: multiple_choice
doc_to_text: "Question: {{question}}\\nAnswer:"
doc_to_choice: choices
doc_to_target: gold
metric_list:
  - {metric: acc, aggregation: mean, higher_is_better: true}
  - {metric: acc_norm, aggregation: mean, higher_is_better: true}
metadata: {version: 1.0}
"""
GENERATE = """
task: writes
dataset_path: json
dataset_kwargs: {data_files: {test: DATA}}
test_split: test
output_type: generate_until
doc_to_text: "{{question}} "
doc_to_target: "{{answer}}"
generation_kwargs: {until: ["e", "\\n"], max_gen_toks: 12, do_sample: false}
filter_list:
  - name: found
    filter: [{function: regex, regex_pattern: "(\\\\w+)"}, {function: take_first}]
metric_list:
  - {metric: exact_match, aggregation: mean, higher_is_better: true, ignore_case: true}
"""
ROLLING = """
task: reads
dataset_path: json
dataset_kwargs: {data_files: {test: DATA}}
test_split: test
output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: "{{text}}"
metric_list:
  - {metric: bits_per_byte}
  - {metric: word_perplexity}
"""
CHOICE_ZH = (
    CHOICE.replace("sums", "colours").replace('"Question: {{question}}\\nAnswer:"', "question")
    + 'target_delimiter: ""\nfewshot_delimiter: "\\n"\n'
)


@pytest.fixture
def task(tmp_path: Path):
    """Writes a task's YAML beside its data and returns the file's name."""

    def write(text: str, rows: list[dict[str, Any]] = ROWS) -> str:
        data = tmp_path / f"data-{len(rows)}.json"
        data.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        file = tmp_path / "task.yaml"
        file.write_text(text.replace("DATA", str(data)), encoding="utf-8")
        return str(file)

    return write


def ours(file: str, base: Path, folder: Path) -> dict[str, dict[str, float]]:
    path = folder / "items.jsonl"
    rows = taken(load(file), file).rows
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    order = WorkOrder(
        job_id="j", epoch=1, folder=folder / "a1",
        spec=EvaluationSpec(name="c", base_model="tiny", benchmarks=["it"]),
        base=BaseFiles(name="tiny", location=str(base), fingerprint="f"),
        benchmarks=[DataFile(name="it", path=path, sha256="0")],
    )  # fmt: skip
    [part] = evaluate(order, Silent()).parts
    return part.metrics


def theirs(file: str, base: Path, *, framed: bool = True) -> dict[str, Any]:
    """lm-eval's scores; `framed` lets the tokenizer put <s> before a text, as our engine does."""
    from lm_eval.models.huggingface import HFLM  # pyright: ignore[reportMissingImports]
    from lm_eval.tasks import TaskManager  # pyright: ignore[reportMissingImports]
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(base)
    if framed:
        tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
            single="<s> $A", special_tokens=[("<s>", tokenizer.bos_token_id)]
        )
    lm = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=4, device="cpu")
    found = lm_eval.simple_evaluate(
        model=lm, tasks=[file], bootstrap_iters=0, log_samples=False,
        task_manager=TaskManager(include_defaults=False),
    )  # fmt: skip
    [results] = found["results"].values()
    return {name.split(",")[0]: value for name, value in results.items() if "," in name}


@pytest.mark.parametrize(("text", "rows"), [(CHOICE, ROWS), (CHOICE_ZH, ZH)])
def test_choices_after_the_same_examples_score_as_lm_eval_says(
    task, tiny_llama: Path, tmp_path: Path, text: str, rows: list[dict[str, Any]]
) -> None:
    file = task(text, rows)
    mine, other = ours(file, tiny_llama, tmp_path), theirs(file, tiny_llama)
    assert mine["accuracy"]["all"] == pytest.approx(other["acc"])
    assert read_benchmark(tmp_path / "items.jsonl").items[0].verbatim
    if rows is ROWS:
        assert mine["accuracy_bytes"]["all"] == pytest.approx(other["acc_norm"])


def test_answers_end_and_are_read_as_lm_eval_does(task, tiny_llama: Path, tmp_path: Path) -> None:
    file = task(GENERATE)
    mine, other = ours(file, tiny_llama, tmp_path), theirs(file, tiny_llama)
    assert mine["exact_match"]["all"] == pytest.approx(other["exact_match"])


def test_a_text_takes_the_bits_that_lm_eval_says(task, tiny_llama: Path, tmp_path: Path) -> None:
    file = task(ROLLING)
    mine, other = ours(file, tiny_llama, tmp_path), theirs(file, tiny_llama, framed=False)
    assert mine["bits_per_byte"]["all"] == pytest.approx(other["bits_per_byte"], abs=1e-5)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (CHOICE.replace("multiple_choice", "loglikelihood"), "output_type: loglikelihood"),
        (CHOICE.replace("metric: acc", "metric: mcc").replace("acc_norm", "f1"), "mcc"),
        (
            CHOICE.replace("doc_to_target: gold", "doc_to_target: [0, 1]").replace(
                "num_fewshot: 2", "num_fewshot: 0"
            ),
            "several right",
        ),
        (GENERATE.replace("do_sample: false", "do_sample: true, temperature: 0.7"), "temperature"),
        (GENERATE.replace("regex,", "majority_vote,"), "majority_vote"),
        (GENERATE + "repeats: 3\n", "repeats: 3"),
        (GENERATE.replace("dataset_path: json", "dataset_path: jsom"), "jsom"),
    ],
)
def test_what_would_be_scored_otherwise_is_refused_by_name(task, text: str, said: str) -> None:
    with pytest.raises(BadTask) as refused:
        taken(load(task(text)), "it")
    assert said in str(refused.value)


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(FileMissing, match=r"none\.yaml"):
        load("none.yaml")
