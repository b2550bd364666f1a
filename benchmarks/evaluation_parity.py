"""Our scores beside lm-eval's on the same items: choices, continuations and greedy answers.

`python -m benchmarks.evaluation_parity --models FOLDER --data FOLDER [--items 100] [--uncut]
[--quick] [--json]`, by the Python of an environment that has lm-eval (see `evaluation_peer`).
One resident llama-23m in fp32, alone and with two adapters; ours answers for both adapters in one
pass, lm-eval (fp32 softmax, batches of 16) for one after the other. Both get the same tokens.

Over hundreds of tokens PyTorch's fp32 log-softmax, which lm-eval takes, is 1.5e-6 a token off on
a CPU (it adds thousands of small exponentials one after the other); ours goes through logsumexp,
which adds them pairwise. So texts are cut to TEXT characters. `nats` is the largest sum compared.
--uncut takes the texts of the continuation sets whole, and asks lm-eval once more in fp64.
"""

import argparse
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.evaluation_items import items_of, random_adapter
from benchmarks.evaluation_peer import AVAILABLE, Peer
from benchmarks.report import result, show
from shared.orders import AdapterFiles, BaseFiles
from shared.specs import BASE_ARM
from shared.templates import render
from worker.checkpoints import load_base
from worker.evaluation import choice, continuation, generate
from worker.evaluation.arms import Arms
from worker.evaluation.decoding import Decoding, decode_all
from worker.evaluation.reading import Reader, end_tokens, reading_limit
from worker.evaluation.scoring import packing_fits, score_all
from worker.evaluation.trees import Tree

#: Shape and most items of each set; long texts and answers take lm-eval longest.
SETS = {
    "understanding/sst2_en": ("choice", 100), "understanding/ocnli_zh": ("choice", 100),
    "continuation/lambada_en": ("continuation", 100), "continuation/tech_zh": ("continuation", 25),
    "summarisation/csl_zh": ("generate", 50),
}  # fmt: skip
ADAPTERS = ("first", "second")
ANSWER = 24
TEXT = 48


def arms_of(models: Path, folder: Path) -> Arms:
    """llama-23m in fp32 with two random adapters attached."""
    base = BaseFiles(name="llama-23m", location=str(models / "llama-23m"), fingerprint="")
    model, tokenizer = load_base(base, "cpu", "fp32")
    files = [
        AdapterFiles(name=name, folder=random_adapter(model, folder / name, seed), base=base)
        for seed, name in enumerate(ADAPTERS)
    ]
    return Arms(model, tokenizer, files)


def scored(
    arms: Arms, peer: Peer, trees: Sequence[Tree], exact: Peer | None = None
) -> list[dict[str, Any]]:
    """Differences of log-likelihoods for the base and each adapter; also to `exact`, lm-eval with
    softmax and sums in fp64."""
    rows = []
    with torch.inference_mode():
        fits = packing_fits(arms.model)
    for names in arms.passes():
        with arms.switched_to(*names) as (model, stack), torch.inference_mode():
            ours = score_all(model, trees, batch_tokens=4096, packed=fits, stack=stack)
        for name, found in zip(names, ours, strict=True):
            theirs = _theirs(arms, peer, name, lambda: peer.score(trees))
            best = sum(_best(one) == _best(other) for one, other in zip(found, theirs, strict=True))
            nats = max(-value for one in found for value in one)
            rows.append(_row(name, len(trees), _apart(found, theirs), nats, best))
            if exact is not None:
                true = _theirs(arms, exact, name, partial(exact.score, trees))
                rows[-1] |= {"ours to fp64": _apart(found, true),
                             "lm-eval to fp64": _apart(theirs, true)}  # fmt: skip
    return rows


def _apart(ours: list[list[float]], theirs: list[list[float]]) -> float:
    pairs = zip(ours, theirs, strict=True)
    return max(abs(x - y) for one, other in pairs for x, y in zip(one, other, strict=True))


def answered(arms: Arms, peer: Peer, task: Any, items: Sequence[Any]) -> list[dict[str, Any]]:
    """How many greedy answers are the same text."""
    tokenizer = arms.tokenizer
    texts = [tokenizer.bos_token + render("auto", item.prompt, lang=item.lang) for item in items]
    for text, prompt in zip(texts, task.prompts, strict=True):
        if peer.ids(text) != prompt:
            raise SystemExit("lm-eval reads other tokens than we do; nothing to compare")
    how = Decoding(
        ends=end_tokens(tokenizer, arms.model), max_new_tokens=ANSWER, batch_tokens=8192,
        packed=True,
    )  # fmt: skip
    rows = []
    for names in arms.passes():
        with arms.switched_to(*names) as (model, stack):
            ours = decode_all(model, task.prompts, how, stack=stack)
        for name, answers in zip(names, ours, strict=True):
            theirs = _theirs(arms, peer, name, lambda: peer.generate(texts, [], ANSWER))
            found = [tokenizer.decode(each.tokens, skip_special_tokens=True) for each in answers]
            same = sum(a.strip() == b.strip() for a, b in zip(found, theirs, strict=True))
            rows.append(_row(name, len(items), 0.0, 0.0, same))
    return rows


def _row(arm: str, items: int, apart: float, nats: float, equal: int) -> dict[str, Any]:
    return {"arm": arm, "items": items, "apart": apart, "nats": nats, "equal": equal}


def _theirs(arms: Arms, peer: Peer, name: str, ask: Any) -> Any:
    """lm-eval's answers with PEFT's own switch set to that arm."""
    if name == BASE_ARM:
        with arms.model.disable_adapter(), torch.inference_mode():
            return ask()
    arms.model.set_adapter(arms.slot(name), inference_mode=True)
    with torch.inference_mode():
        return ask()


def _best(values: list[float]) -> int:
    return max(range(len(values)), key=values.__getitem__)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--items", type=int, default=100)
    parser.add_argument("--uncut", action="store_true", help="whole texts, both ways of adding")
    parser.add_argument("--quick", action="store_true", help="8 items a set")
    parser.add_argument("--json", action="store_true", help="rows as JSON")
    options = parser.parse_args()
    if not AVAILABLE:
        raise SystemExit("lm-eval is not installed; see benchmarks/evaluation_peer.py")
    torch.set_num_threads(1)
    count = 8 if options.quick else options.items
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        arms = arms_of(options.models, Path(folder))
        peer = Peer(arms.model, arms.tokenizer, 16)
        sets = {
            name: chosen
            for name, chosen in SETS.items()
            if chosen[0] == "continuation" or not options.uncut
        }
        for name, (shape, most) in sets.items():
            items = items_of(options.data, name, min(count, most))
            reader = Reader(arms.tokenizer, "auto", name, reading_limit(arms.model), ANSWER)
            if shape == "generate":
                found = answered(arms, peer, generate.prepare(items, reader), items)
            elif shape == "choice":
                found = scored(arms, peer, choice.prepare(items, reader).trees)
            else:
                longest = None if options.uncut else TEXT
                items = [
                    each.model_copy(update={"continuation": each.continuation[:longest]})
                    for each in items
                ]
                trees = continuation.prepare(items, reader).windows
                fp64 = Peer(arms.model, arms.tokenizer, 16, "float64") if options.uncut else None
                found = scored(arms, peer, trees, fp64)
            rows += [{"set": name, "shape": shape, **row} for row in found]
    show("scores beside lm-eval", rows, as_json=options.json)
    scores = [row for row in rows if row["shape"] != "generate"]
    choices = [row for row in rows if row["shape"] == "choice"]
    texts = [row for row in rows if row["shape"] == "generate"]
    if options.uncut:
        result(**{
            name: max(row[column] for row in scores)
            for name, column in (("max_ll_diff", "apart"), ("ours_to_fp64", "ours to fp64"),
                                 ("peer_to_fp64", "lm-eval to fp64"))
        })  # fmt: skip
        return
    result(
        max_ll_diff=max(row["apart"] for row in scores),
        argmax_equal=_share(choices), greedy_equal=_share(texts),
    )  # fmt: skip


def _share(rows: Sequence[dict[str, Any]]) -> str:
    return f"{sum(row['equal'] for row in rows)}/{sum(row['items'] for row in rows)}"


if __name__ == "__main__":
    main()
