"""Forgetting: how well an arm still foresees what the base itself would have written.

The base goes on, likeliest token by token, from short beginnings that no benchmark holds; the texts
become continuation items for every arm. An arm that needs more bits a byte than the base has moved
away from what the base knew; in which direction, the benchmarks say.
"""

import json
from pathlib import Path
from typing import Any

import torch

from shared.benchmarks import Benchmark, read_benchmark
from shared.errors import LANGUAGES
from shared.orders import DataFile
from shared.specs import BASE_ARM
from shared.specs.evaluation import OWN_WORDS
from shared.starter.sentences import OPENINGS
from shared.starter.world import World
from shared.storage import file_sha256
from worker.evaluation.arms import Arms
from worker.evaluation.decoding import Decoding, decode_all
from worker.evaluation.reading import Reader, reading_limit

#: Tokens that the base writes.
LENGTH = 32
#: Part of a character.
_PARTIAL = "\ufffd"


def beginnings(count: int) -> list[tuple[str, str]]:
    """`count` (language, sentence) of each language, the same in every evaluation."""
    found: list[tuple[str, str]] = []
    for language in LANGUAGES:
        scenes = World().scenes(f"own words {language}", "benchmark")
        seen: dict[str, None] = {}
        while len(seen) < count:
            opening = OPENINGS[language][len(seen) % len(OPENINGS[language])]
            seen.setdefault(opening.format(**next(scenes).words(language)))
        found += [(language, text) for text in seen]
    return found


def own_words(
    arms: Arms, count: int, how: Decoding, folder: Path
) -> tuple[DataFile, Benchmark] | None:
    """What the base writes, as a benchmark of continuations in `folder`; None where it is mute."""
    reader = Reader(arms.tokenizer, "plain", OWN_WORDS, reading_limit(arms.model), LENGTH)
    texts = beginnings(count)
    prompts = [reader.fit(reader.ids(text), LENGTH)[0] for _, text in texts]
    with arms.switched_to(BASE_ARM) as (model, stack), torch.inference_mode():
        [answers] = decode_all(model, prompts, how, stack=stack)
    rows = []
    for (language, text), prompt, answer in zip(texts, prompts, answers, strict=True):
        written = _written(arms.tokenizer, prompt, answer.tokens)
        if written.strip():
            identity = f"{OWN_WORDS}-{len(rows)}"
            row = {"id": identity, "lang": language, "context": text, "continuation": written}
            rows.append(json.dumps(row, ensure_ascii=False) + "\n")
    if not rows:
        return None
    path = folder / f"{OWN_WORDS}.jsonl"
    path.write_text("".join(rows), encoding="utf-8")
    return DataFile(name=OWN_WORDS, path=path, sha256=file_sha256(path)), read_benchmark(path)


def _written(tokenizer: Any, prompt: list[int], answer: list[int]) -> str:
    """The answer's text with the space that may stand before it."""
    before = tokenizer.decode(prompt, skip_special_tokens=True)
    whole = tokenizer.decode(prompt + answer, skip_special_tokens=True)
    if whole.startswith(before):
        whole = whole[len(before) :]
    else:
        whole = tokenizer.decode(answer, skip_special_tokens=True)
    return whole.replace(_PARTIAL, "")
