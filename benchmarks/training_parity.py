"""Our SFT loss curve beside TRL's SFTTrainer: same base, adapter, rows, order, rates, in fp32.

    python -m benchmarks.training_parity [--quick] [--json] [--packing]

The peer comes by `pip install -r benchmarks/peers.txt`, best into an environment of its own; beside
this one's packages `--no-deps` with multiprocess, dill and xxhash is enough for it.

A random LLaMA, 64 wide, learns 200 rows of mixed lengths by rank-8 LoRA on every linear module,
four rows a step. TRL gets the rows tokenized and in the order of our schedule, so that nothing but
the arithmetic can differ; with --packing ours lie end to end and TRL's are padded.
"""

import argparse
import random
import tempfile
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModelForCausalLM
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from benchmarks.report import result, show
from shared.specs import TrainingSpec
from worker.reporting import Silent
from worker.training.adapted import Adapted
from worker.training.batches import schedule
from worker.training.course import Course
from worker.training.examples import Example
from worker.training.learner import Learner
from worker.training.loop import run
from worker.training.objectives import sft

VOCABULARY, ROWS, BATCH, RATE = 300, 200, 4, 2e-3
TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="10 steps instead of 50")
    parser.add_argument("--packing", action="store_true", help="our rows end to end")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    spec = TrainingSpec(
        name="a", base_model="b", dataset="d", batch_size=BATCH, schedule="constant",
        warmup_ratio=0, learning_rate=RATE, max_steps=10 if options.quick else 50, seed=3,
    )  # fmt: skip
    examples = _examples()
    with tempfile.TemporaryDirectory() as folder:
        ours = _ours(spec, examples, Path(folder), packing=options.packing)
        theirs = _theirs(spec, examples, Path(folder))
    rows = [
        {"step": step, "Graft": one, "TRL": other, "difference": abs(one - other)}
        for step, (one, other) in enumerate(zip(ours, theirs, strict=True), start=1)
    ]
    shown = rows if options.json else [*rows[:3], *rows[9::10]]
    show("SFT loss, nats a label, fp32", shown, as_json=options.json)
    result(steps=len(rows), max_loss_diff=max(row["difference"] for row in rows))


def _examples() -> list[Example]:
    """Rows of 8 to 80 tokens whose trained part repeats what was read, so it can be learned."""
    draw = random.Random(0)
    rows = []
    for _ in range(ROWS):
        read = [draw.randrange(5, VOCABULARY) for _ in range(draw.randrange(4, 40))]
        rows.append(
            Example.answering((1, *read, *read[: draw.randrange(2, len(read))], 2), 1 + len(read))
        )
    return rows


def _adapted() -> PeftModelForCausalLM:
    """The base and the adapter that both sides begin with."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=64, intermediate_size=160, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, head_dim=16, initializer_range=0.1,
    )  # fmt: skip
    base = LlamaForCausalLM(config).requires_grad_(requires_grad=False)
    lora = LoraConfig(r=8, lora_alpha=16, target_modules=TARGETS, task_type="CAUSAL_LM")
    return PeftModelForCausalLM(base, lora)


def _ours(
    spec: TrainingSpec, examples: list[Example], folder: Path, *, packing: bool
) -> list[float]:
    longest = max(len(example.ids) for example in examples)
    learner = Learner.of(Adapted.of(_adapted()), longest if packing else 0)
    course = Course(
        lessons=[(example,) for example in examples], objective=sft, parameters=spec, padding=0,
        micro_batch=BATCH, checkpoint_every=1_000_000, checkpoints=folder / "checkpoints",
        resume_from=None, identity={},
    )  # fmt: skip
    report = Silent()
    run(learner, course, report)
    return [values["loss"] for _, values in report.steps]


def _theirs(spec: TrainingSpec, examples: list[Example], folder: Path) -> list[float]:
    from datasets import Dataset  # pyright: ignore[reportMissingImports]
    from trl import SFTConfig, SFTTrainer  # pyright: ignore[reportMissingImports]

    plan = schedule(len(examples), spec)
    order = [examples[row] for step in range(plan.steps) for row in plan.rows_of(step)]
    data = Dataset.from_list(
        [
            {
                "input_ids": list(example.ids),
                "completion_mask": [int(at >= example.answer) for at in range(len(example.ids))],
            }
            for example in order
        ]
    )
    arguments = SFTConfig(
        output_dir=str(folder / "trl"), per_device_train_batch_size=BATCH, max_steps=plan.steps,
        learning_rate=RATE, lr_scheduler_type="constant", weight_decay=0.0, max_grad_norm=1.0,
        logging_steps=1, save_strategy="no", report_to=[], use_cpu=True, bf16=False,
        gradient_checkpointing=False, completion_only_loss=True, max_length=None, seed=0,
        train_sampling_strategy="sequential", disable_tqdm=True,
    )  # fmt: skip
    trainer: Any = SFTTrainer(
        model=_adapted(), args=arguments, train_dataset=data, processing_class=_tokenizer()
    )
    trainer.train()
    return [each["loss"] for each in trainer.state.log_history if "loss" in each]


def _tokenizer() -> PreTrainedTokenizerFast:
    """TRL wants one for its padding; the rows are tokens already."""
    words = {"<pad>": 0, "<s>": 1, "</s>": 2} | {f"w{n}": n for n in range(3, VOCABULARY)}
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(WordLevel(words, unk_token="<pad>")),
        pad_token="<pad>", bos_token="<s>", eos_token="</s>",
    )  # fmt: skip


if __name__ == "__main__":
    main()
