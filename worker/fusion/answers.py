"""The donor with its adapter answers prompts: batched, longest first, ended row by row."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared.formats import AlpacaRow, Row
from shared.specs import Teaching
from worker.evaluation.decoding import decode
from worker.evaluation.reading import end_tokens, reading_limit
from worker.fusion.answer_file import Answered, AnswerFile
from worker.fusion.sampling import sampled
from worker.reporting import Report, Stopped
from worker.training.batches import seed_of
from worker.training.examples import prompt_ids

#: Prompts asked together; the file grows by this many answers. A GPU takes more at once.
CHUNK, _CHUNKS_GPU = 64, 8
#: Padded tokens in memory at once, prompts and answers.
_TOKENS_CPU, _TOKENS_GPU = 1 << 13, 1 << 17
#: Seconds between checkpoints of the answers.
_SAVE_EVERY = 30.0


@dataclass(frozen=True)
class Prompt:
    """The token ids that ask one row."""

    row: int
    ids: list[int]


def prompts_of(
    rows: Sequence[tuple[int, Row | AlpacaRow]], tokenizer: Any, template: str
) -> list[Prompt]:
    """Each row's prompt as its adapter was trained on it, longest first."""
    found = [Prompt(number, list(prompt_ids(row, tokenizer, template))) for number, row in rows]
    return sorted(found, key=lambda prompt: (-len(prompt.ids), prompt.row))


def answer_all(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[Prompt],
    params: Teaching,
    file: AnswerFile,
    checkpoints: Path,
    report: Report,
    halvings: int = 0,
) -> None:
    """Fill `file` with an answer to every prompt; a chunk that it holds whole is not asked again.

    A prompt that leaves no room for its answer within the donor's reach is not asked: what an
    adapter says to half a question is not worth learning. Asked to stop, it saves what is there
    as a checkpoint and raises Stopped. Steps of these checkpoints are negative (what is still to
    ask), so that training's come after them.
    """
    limit = reading_limit(model)
    room = len(prompts[0].ids) if limit is None else limit - params.max_new_tokens
    file.add(Answered(each.row, "", "unasked") for each in prompts if len(each.ids) > room)
    asked = [prompt for prompt in prompts if len(prompt.ids) <= room]
    size = CHUNK * (_CHUNKS_GPU if model.device.type == "cuda" else 1)
    chunks = [asked[start : start + size] for start in range(0, len(asked), size)]
    saved = time.monotonic()
    held = len(file.found)

    def save() -> None:
        nonlocal held
        if len(file.found) > held:
            held = len(file.found)
            report.checkpoint(held - len(prompts) - 1, file.checkpoint(checkpoints))

    for number, chunk in enumerate(chunks):
        if all(prompt.row in file.found for prompt in chunk):
            continue
        try:
            seed = seed_of(params.seed, number)
            file.add(_answer(model, tokenizer, chunk, params, seed, report, halvings))
        except Stopped:
            save()
            raise
        report.progress(len(file.found), len(prompts), "answers")
        if time.monotonic() - saved > _SAVE_EVERY:
            save()
            saved = time.monotonic()
    save()


def _answer(
    model: Any,
    tokenizer: Any,
    chunk: Sequence[Prompt],
    params: Teaching,
    seed: int,
    report: Report,
    halvings: int,
) -> list[Answered]:
    """The answers to one chunk. Raises Stopped between two tokens."""

    def watch(places: Sequence[int], tokens: int) -> None:
        if report.stop_requested():
            raise Stopped

    began = time.perf_counter()
    most = _TOKENS_GPU if model.device.type == "cuda" else _TOKENS_CPU
    with sampled(model, params.temperature, seed):
        made = decode(
            model,
            [prompt.ids for prompt in chunk],
            ends=end_tokens(tokenizer, model),
            max_new_tokens=params.max_new_tokens,
            batch_tokens=most >> halvings,
            done=watch,
        )
    share = (time.perf_counter() - began) / len(chunk)
    return [
        Answered(
            prompt.row,
            tokenizer.decode(answer.tokens, skip_special_tokens=True).strip(),
            "finished" if answer.finished else "unfinished",
            share,
        )
        for prompt, answer in zip(chunk, made, strict=True)
    ]
