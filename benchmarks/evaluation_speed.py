"""Base and four adapters on few-shot choices and few-shot answers, beside lm-eval in the same run.

`python -m benchmarks.evaluation_speed --models FOLDER --data FOLDER [--quick] [--json]`: llama-23m
in fp32 by the Python of an environment with lm-eval (see `evaluation_peer`), which keeps the model
resident and takes the fastest of some batch sizes; model loading is counted for neither.
`--device cuda --shape 1b` takes a random LLaMA of 1.2 G parameters in bf16, random tokens and, as
the peer, lm-eval's loop written out (see `evaluation_loop`) in batches of 64; no data is needed.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from benchmarks.evaluation_items import items_of, random_adapter, with_shots
from benchmarks.evaluation_loop import Loop
from benchmarks.evaluation_peer import AVAILABLE, Peer
from benchmarks.report import result, show
from shared.orders import AdapterFiles, BaseFiles
from shared.specs import BASE_ARM
from worker.checkpoints import load_base
from worker.evaluation import choice, generate
from worker.evaluation.arms import Arms
from worker.evaluation.budget import tokens_at_once
from worker.evaluation.decoding import Decoding, decode_all
from worker.evaluation.reading import Reader, reading_limit
from worker.evaluation.scoring import packing_fits, score_all
from worker.evaluation.stops import Stops, before
from worker.evaluation.trees import Tree

ADAPTERS, SHOTS = 4, 5
#: (4-choice items, prompts, answer tokens)
SIZES = {"23m": (8, 16, 32), "1b": (100, 64, 64)}
ONE_B = {
    "hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16,
    "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 128_256,
    "max_position_embeddings": 4096, "tie_word_embeddings": True,
}  # fmt: skip


@dataclass
class Work:
    """What both engines are asked, as tokens."""

    trees: list[Tree]
    prompts: list[list[int]]
    longest: int
    stop: tuple[str, ...] = ()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--shape", choices=tuple(SIZES), default="23m")
    parser.add_argument("--quick", action="store_true", help="a quarter of the items")
    parser.add_argument("--json", action="store_true", help="rows as JSON")
    options = parser.parse_args()
    if options.shape == "23m" and not (options.models and options.data):
        parser.error("llama-23m needs --models and --data")
    torch.set_num_threads(1)
    counts = [max(4, size // (4 if options.quick else 1)) for size in SIZES[options.shape][:2]]
    with tempfile.TemporaryDirectory() as folder:
        arms = _arms(options, Path(folder))
        work = _work(options, arms, *counts)
        peer, name = _peer(arms, work)
        rows, figures = _measured(arms, work, peer, options.device)
    title = f"base and {ADAPTERS} adapters on {options.shape}, {options.device}, beside {name}"
    show(title, rows, as_json=options.json)
    result(**figures)


def _arms(options: Any, folder: Path) -> Arms:
    if options.shape == "23m":
        base = BaseFiles(name="23m", location=str(options.models / "llama-23m"), fingerprint="")
        model, tokenizer = load_base(base, options.device, "fp32")
    else:
        base = BaseFiles(name="1b", location="random", fingerprint="")
        torch.manual_seed(0)
        with torch.device(options.device):
            model: Any = LlamaForCausalLM(LlamaConfig(**ONE_B))
        model, tokenizer = model.to(torch.bfloat16).eval().requires_grad_(False), None
    files = [
        AdapterFiles(name=f"a{n}", folder=random_adapter(model, folder / f"a{n}", n), base=base)
        for n in range(ADAPTERS)
    ]
    return Arms(model, tokenizer, files)


def _work(options: Any, arms: Arms, choices: int, answers: int) -> Work:
    longest = SIZES[options.shape][2]
    if options.shape == "1b":
        return _random_work(choices, answers, longest)
    asked = items_of(options.data, "understanding/agnews_en", SHOTS + choices)
    shots, items = asked[:SHOTS], asked[SHOTS:]
    solved = with_shots(items, shots, [shot.choices[shot.answer] for shot in shots])
    limit = reading_limit(arms.model)
    trees = choice.prepare(solved, Reader(arms.tokenizer, "auto", "", limit, longest)).trees
    asked = items_of(options.data, "reasoning/gsm8k_en_train", SHOTS + answers)
    told = with_shots(asked[SHOTS:], asked[:SHOTS], [a.references[0] for a in asked[:SHOTS]])
    prompts = generate.prepare(told, Reader(arms.tokenizer, "auto", "", limit, longest)).prompts
    return Work(trees, prompts, longest, ("\n\n",))


def _random_work(choices: int, answers: int, longest: int) -> Work:
    """A shared opening of 600 tokens, questions of 40 to 80, four choices of 4 to 12."""
    vocabulary = int(ONE_B["vocab_size"])
    generator = torch.Generator().manual_seed(0)

    def ids(low: int, high: int) -> list[int]:
        count = int(torch.randint(low, high + 1, (1,), generator=generator))
        return torch.randint(10, vocabulary, (count,), generator=generator).tolist()

    opening = ids(600, 600)
    trees = [Tree(opening + ids(40, 80), [ids(4, 12) for _ in range(4)]) for _ in range(choices)]
    return Work(trees, [opening + ids(40, 80) for _ in range(answers)], longest)


def _peer(arms: Arms, work: Work) -> tuple[Any, str]:
    """lm-eval at the fastest of three batch sizes (by what we measure here), or its loop."""
    if arms.tokenizer is None:
        return _Written(Loop(arms.model, 0), work), "lm-eval's loop, written out"
    if not AVAILABLE:
        raise SystemExit("lm-eval is not installed; see benchmarks/evaluation_peer.py")
    timed = []
    for size in (2, 8, 16):
        peer = Peer(arms.model, arms.tokenizer, size)
        with arms.model.disable_adapter(), torch.inference_mode():
            timed.append((_seconds(lambda p=peer: p.score(work.trees[:4]), "cpu")[0], size))
    best = min(timed)[1]
    return _Harness(arms, work, best), f"lm-eval 0.4.13 (batch {best})"


class _Harness:
    """lm-eval on the work."""

    def __init__(self, arms: Arms, work: Work, batch: int) -> None:
        self._scoring = Peer(arms.model, arms.tokenizer, batch)
        # All prompts in one batch: for generation the largest batch is its best.
        self._telling = Peer(arms.model, arms.tokenizer, len(work.prompts))
        self._work = work
        self._texts = [arms.tokenizer.decode(ids) for ids in work.prompts]

    def score(self) -> list[list[float]]:
        return self._scoring.score(self._work.trees)

    def generate(self) -> list[str]:
        return self._telling.generate(self._texts, self._work.stop, self._work.longest)


class _Written:
    """lm-eval's loop on the work."""

    def __init__(self, loop: Loop, work: Work) -> None:
        self._loop, self._work = loop, work

    def score(self) -> list[list[float]]:
        return self._loop.score(self._work.trees)

    def generate(self) -> list[list[int]]:
        return self._loop.generate(self._work.prompts, self._work.longest)


def _measured(
    arms: Arms, work: Work, peer: Any, device: str
) -> tuple[list[dict[str, Any]], dict[str, float]]:
    with torch.inference_mode():
        fits = packing_fits(arms.model)
    most = tokens_at_once(arms.model)
    ours, scores = _seconds(lambda: _score(arms, work, most, fits), device)
    theirs, expected = _seconds(lambda: _each(arms, peer.score), device)
    pairs = [(x, y) for a, b in zip(scores, expected, strict=True)
             for one, other in zip(a, b, strict=True)
             for x, y in zip(one, other, strict=True)]  # fmt: skip
    told, answers = _seconds(lambda: _tell(arms, work, most, fits), device)
    retold, wanted = _seconds(lambda: _each(arms, peer.generate), device)
    same = sum(x == y for a, b in zip(answers, wanted, strict=True)
               for x, y in zip(a, b, strict=True))  # fmt: skip
    rows = [
        {"work": "choices", "requests": len(pairs), "ours s": ours, "peer s": theirs,
         "ratio": theirs / ours, "equal": _argmax_equal(scores, expected)},
        {"work": "answers", "requests": len(work.prompts) * (ADAPTERS + 1), "ours s": told,
         "peer s": retold, "ratio": retold / told, "equal": same},
    ]  # fmt: skip
    apart = max(abs(x - y) for x, y in pairs)
    return rows, {
        "choice_ratio": theirs / ours, "generate_ratio": retold / told, "max_ll_diff": apart,
    }  # fmt: skip


def _argmax_equal(scores: Sequence[Any], expected: Sequence[Any]) -> int:
    def best(values: list[float]) -> int:
        return max(range(len(values)), key=values.__getitem__)

    return sum(best(x) == best(y) for a, b in zip(scores, expected, strict=True)
               for x, y in zip(a, b, strict=True))  # fmt: skip


def _score(arms: Arms, work: Work, most: int, fits: bool) -> list[list[list[float]]]:
    found = []
    for names in arms.passes():
        with arms.switched_to(*names) as (model, stack), torch.inference_mode():
            found += score_all(model, work.trees, batch_tokens=most, packed=fits, stack=stack)
    return found


def _tell(arms: Arms, work: Work, most: int, fits: bool) -> list[list[Any]]:
    ends = frozenset() if arms.tokenizer is None else frozenset([arms.tokenizer.eos_token_id])
    how = Decoding(
        ends=ends, max_new_tokens=work.longest, batch_tokens=most, packed=fits,
        stop=Stops(arms.tokenizer, work.stop) if work.stop else None,
    )  # fmt: skip
    found = []
    for names in arms.passes():
        with arms.switched_to(*names) as (model, stack):
            answers = decode_all(model, work.prompts, how, stack=stack)
        for each in answers:
            tokens = [answer.tokens for answer in each]
            if arms.tokenizer is not None:
                read = [arms.tokenizer.decode(ids, skip_special_tokens=True) for ids in tokens]
                tokens = [before(text, work.stop) for text in read]
            found.append(tokens)
    return found


def _each(arms: Arms, ask: Callable[[], Any]) -> list[Any]:
    """The peer's answers for the base and each adapter, one after the other."""
    found = []
    for name in arms.names:
        with torch.inference_mode():
            if name == BASE_ARM:
                with arms.model.disable_adapter():
                    found.append(ask())
            else:
                arms.model.set_adapter(arms.slot(name), inference_mode=True)
                found.append(ask())
    return found


def _seconds(work: Callable[[], Any], device: str) -> tuple[float, Any]:
    """Wall seconds on a GPU; on a CPU those of the one thread, whoever else uses the machine."""
    if device == "cpu":
        start = time.process_time()
        found = work()
        return time.process_time() - start, found
    torch.cuda.synchronize()
    start = time.perf_counter()
    found = work()
    torch.cuda.synchronize()
    return time.perf_counter() - start, found


if __name__ == "__main__":
    main()
