"""lm-eval's own scores of its YAML tasks beside ours of the same tasks, imported.

`python -m benchmarks.lm_eval_tasks --models FOLDER --data FOLDER [--items 100] [--quick] [--json]`,
by the Python of an environment that has lm-eval (see `evaluation_peer`). Tasks are written as YAML
over rows of the data folder: choices after examples in English and Chinese, answers cut by stop
strings and read by a pattern, whole texts. lm-eval runs `simple_evaluate` in fp32 with a softmax in
fp32 and a beginning token; ours evaluates the imported file. Of each task: both scores of each
metric they share, the largest difference of a choice item's margin, and how many answers read as
the same text.
"""

import argparse
import contextlib
import io
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from tokenizers.processors import TemplateProcessing

from benchmarks.evaluation_peer import AVAILABLE, quiet
from benchmarks.report import result, show
from shared.lm_tasks import load, taken
from shared.orders import BaseFiles, DataFile, WorkOrder
from shared.specs import EvaluationSpec
from worker.evaluation import evaluate
from worker.reporting import Silent

_COMMON = """
task: {name}
dataset_path: json
dataset_kwargs: {{data_files: {{test: {data}, train: {data}}}}}
test_split: test
fewshot_split: train
"""
_CHOICE = (
    _COMMON
    + """
num_fewshot: {shots}
output_type: multiple_choice
doc_to_text: "{{{{prompt}}}}"
doc_to_choice: choices
doc_to_target: answer
target_delimiter: "{delimiter}"
metric_list: [{{metric: acc}}, {{metric: acc_bytes}}]
"""
)
_GENERATE = (
    _COMMON
    + """
num_fewshot: 3
output_type: generate_until
doc_to_text: "{{{{prompt}}}}"
doc_to_target: "{{{{choices[answer]}}}}"
generation_kwargs: {{until: ["\\n"], max_gen_toks: 24, do_sample: false}}
filter_list:
  - name: first
    filter: [{{function: regex, regex_pattern: "(\\\\w+)"}}, {{function: take_first}}]
metric_list: [{{metric: exact_match, ignore_case: true}}]
"""
)
_ROLLING = (
    _COMMON
    + """
num_fewshot: 0
output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: "{{{{continuation}}}}"
metric_list: [{{metric: bits_per_byte}}]
"""
)
#: Task: its YAML, the file its rows come from, further words of the YAML.
TASKS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "sst2": (_CHOICE, "understanding/sst2_en", {"shots": 3, "delimiter": " "}),
    "ocnli": (_CHOICE, "understanding/ocnli_zh", {"shots": 2, "delimiter": ""}),
    "answers": (_GENERATE, "understanding/sst2_en", {}),
    "novel": (_ROLLING, "continuation/novel_en", {}),
    "tech": (_ROLLING, "continuation/tech_zh", {}),
}
#: lm-eval's metric: ours.
SAME = {
    "acc": "accuracy", "acc_bytes": "accuracy_bytes", "exact_match": "exact_match",
    "bits_per_byte": "bits_per_byte",
}  # fmt: skip


def written(folder: Path, data: Path, name: str, count: int) -> Path:
    """A task's YAML, and beside it the first `count` rows of its data."""
    yaml, source, words = TASKS[name]
    rows = (data / f"{source}.jsonl").read_text(encoding="utf-8").splitlines()[:count]
    lines = folder / f"{name}.json"
    lines.write_text("\n".join(rows) + "\n", encoding="utf-8")
    file = folder / f"{name}.yaml"
    file.write_text(yaml.format(name=name, data=lines, **words), encoding="utf-8")
    return file


def ours(file: Path, base: BaseFiles, folder: Path) -> Any:
    """The base on the imported task."""
    path = folder / f"{file.stem}.jsonl"
    rows = taken(load(str(file)), str(file)).rows
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    order = WorkOrder(
        job_id="j", epoch=1, folder=folder / file.stem, base=base,
        spec=EvaluationSpec(name="c", base_model=base.name, benchmarks=[file.stem]),
        benchmarks=[DataFile(name=file.stem, path=path, sha256="0")],
    )  # fmt: skip
    return evaluate(order, Silent()).parts[0]


def theirs(lm: Any, file: Path) -> tuple[dict[str, float], Mapping[str, Any]]:
    """lm-eval's scores by metric, and what it says of each document."""
    import lm_eval  # pyright: ignore[reportMissingImports]
    from lm_eval.tasks import TaskManager  # pyright: ignore[reportMissingImports]

    with quiet():
        found = lm_eval.simple_evaluate(
            model=lm, tasks=[str(file)], bootstrap_iters=0, log_samples=True,
            task_manager=TaskManager(include_defaults=False),
        )  # fmt: skip
    [results], [samples] = found["results"].values(), found["samples"].values()
    scores = {key.split(",")[0]: value for key, value in results.items() if "," in key}
    return scores, {str(each["doc_id"]): each for each in samples}


def compared(part: Any, scores: Mapping[str, float], samples: Mapping[str, Any]) -> list[Any]:
    """A row for each metric that both have."""
    margins = [
        abs(item.values["margin"] - _margin(samples[item.item_id]))
        for item in part.items
        if part.shape == "choice"
    ]
    same = sum(
        item.output == str(samples[item.item_id]["filtered_resps"][0])
        for item in part.items
        if part.shape == "generate"
    )
    return [
        {
            "task": part.benchmark, "items": len(part.items), "metric": metric,
            "ours": part.metrics[SAME[metric]]["all"], "lm-eval": score,
            "apart": abs(part.metrics[SAME[metric]]["all"] - score),
            "item margin apart": max(margins, default=0.0), "same answers": same,
        }
        for metric, score in scores.items()
        if metric in SAME
    ]  # fmt: skip


def _margin(sample: Mapping[str, Any]) -> float:
    values = [float(each[0]) for each in sample["filtered_resps"]]
    right = int(sample["target"])
    return values[right] - max(values[:right] + values[right + 1 :])


def begin_with_token(tokenizer: Any) -> None:
    """Make a tokenizer put its beginning token before a text, as the base was trained.

    lm-eval's `add_bos_token` only asks for special tokens, which this tokenizer adds none of.
    """
    begin = tokenizer.bos_token
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single=f"{begin} $A", special_tokens=[(begin, tokenizer.bos_token_id)]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--items", type=int, default=100)
    parser.add_argument("--quick", action="store_true", help="12 items a task")
    parser.add_argument("--json", action="store_true", help="rows as JSON")
    options = parser.parse_args()
    if not AVAILABLE:
        raise SystemExit("lm-eval is not installed; see benchmarks/evaluation_peer.py")
    from lm_eval.models.huggingface import HFLM  # pyright: ignore[reportMissingImports]
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.set_num_threads(1)
    place = options.models / "llama-23m"
    base = BaseFiles(name="llama-23m", location=str(place), fingerprint="")
    model = AutoModelForCausalLM.from_pretrained(place, dtype=torch.float32)

    def peer(framed: bool) -> Any:
        tokenizer = AutoTokenizer.from_pretrained(place)
        if framed:
            begin_with_token(tokenizer)
        return HFLM(
            pretrained=model, tokenizer=tokenizer, batch_size=8, softmax_dtype="float32",
            device="cpu",
        )  # fmt: skip

    # Where the tokenizer adds a beginning token, lm-eval puts it before rolling texts twice and
    # scores the second.
    with quiet():
        framed, bare = peer(framed=True), peer(framed=False)
    rows: list[Any] = []
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
        for name, (yaml, _, _) in TASKS.items():
            count = 12 if options.quick else min(options.items, 40 if yaml is _ROLLING else 1000)
            file = written(Path(folder), options.data, name, count)
            part = ours(file, base, Path(folder))
            rows += compared(part, *theirs(bare if yaml is _ROLLING else framed, file))
    show("tasks of lm-eval on our engine", rows, as_json=options.json)
    result(
        tasks=len(TASKS), max_score_diff=max(row["apart"] for row in rows),
        max_margin_diff=max(row["item margin apart"] for row in rows),
        answers_equal="/".join(
            str(sum(row[column] for row in rows if row["metric"] == "exact_match"))
            for column in ("same answers", "items")
        ),
    )  # fmt: skip


if __name__ == "__main__":
    main()
