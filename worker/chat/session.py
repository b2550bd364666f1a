"""One playground session: load the arms once, then answer questions until nobody asks any more."""

import json
import time
from collections.abc import Sequence
from typing import Any, Protocol

import torch

from shared.orders import WorkOrder
from shared.retrieval import Sample
from shared.specs import ChatSpec
from shared.templates import language_of
from worker.admission import look_through
from worker.chat.prompting import Speaker
from worker.chat.speaking import Line, speak
from worker.checkpoints import load_base
from worker.evaluation.arms import Arms
from worker.evaluation.augment import Library
from worker.evaluation.decoding import Answer, Decoding
from worker.evaluation.reading import Reader, end_tokens, reading_limit
from worker.evaluation.scoring import packing_fits
from worker.mailbox import Question, take
from worker.reporting import Report, Stopped

#: Seconds between two looks for a question, and between two reports of a growing answer.
_LOOK, _REPORT = 0.1, 0.2
#: Part of a character, at the end of a text that is still being written.
_PARTIAL = "\ufffd"


class ChatReport(Report, Protocol):
    """A Report that also takes what the arms write."""

    def said(self, turn: int, answers: dict[str, Any], *, answered: bool) -> None:
        """What each arm has written so far in answer to a question: text, tokens, seconds."""


def chat(order: WorkOrder, report: ChatReport) -> int:
    """Answer the questions of the order's folder (`worker.mailbox`); returns how many.

    Ends after `idle_timeout` seconds without one. Raises what loading the arms raises (NoOp for an
    adapter that changes nothing), NotFinite, and Stopped.
    """
    spec = order.spec
    if not isinstance(spec, ChatSpec) or order.base is None:
        raise TypeError("a chat needs a ChatSpec and a base")
    look_through(order, report)
    report.phase("loading base")
    model, tokenizer = load_base(order.base, order.device, spec.precision)
    report.phase("attaching adapters")
    session = Session(order, spec, Arms(model, tokenizer, order.adapters))
    report.phase("answering")
    number = 1
    while (question := _wait(order, number, spec.idle_timeout, report)) is not None:
        if question.answers:
            session.remember(question)
        else:
            session.answer(question, report)
        report.progress(number, number, "answers")
        number += 1
    order.out.mkdir(parents=True, exist_ok=True)
    (order.out / "chat.json").write_text(json.dumps({"questions": number - 1}) + "\n")
    return number - 1


def _wait(order: WorkOrder, number: int, most: float, report: Report) -> Question | None:
    """The next question, or None when nobody has asked for `most` seconds."""
    until = time.monotonic() + most
    while (found := take(order.folder, number)) is None:
        if report.stop_requested():
            raise Stopped
        if time.monotonic() > until:
            return None
        time.sleep(_LOOK)
    return found


class Session:
    """The arms of one session and what each of them has heard and said."""

    def __init__(self, order: WorkOrder, spec: ChatSpec, arms: Arms) -> None:
        self._spec, self._arms = spec, arms
        self._library = None if order.knowledge is None else Library(order.knowledge.path)
        own = {each.name: str(each.facts.get("template") or "auto") for each in order.adapters}
        with torch.inference_mode():
            packed = packing_fits(arms.model)
        self._how = Decoding(
            ends=end_tokens(arms.tokenizer, arms.model), max_new_tokens=spec.max_new_tokens,
            batch_tokens=0, packed=packed,
        )  # fmt: skip
        self._speakers = []
        for name, (model, retrieves) in spec.arms().items():
            template = own.get(model, "auto") if spec.template == "adapter" else spec.template
            limit = reading_limit(arms.model, arms.ahead)
            reader = Reader(arms.tokenizer, template, name, limit, spec.max_new_tokens)
            self._speakers.append(Speaker(name, model, reader, retrieves))

    def remember(self, question: Question) -> None:
        """What an earlier attempt answered; arms go on from there."""
        for speaker in self._speakers:
            told = question.answers.get(speaker.name)
            if told is not None:
                speaker.said.append((question.text, told["text"]))

    def answer(self, question: Question, report: ChatReport) -> None:
        """Ask every arm at once and report while they write; raises Stopped between two tokens."""
        lang = language_of(question.text)
        samples = self._samples(question.text, lang)
        lines, shown = [], []
        for speaker in self._speakers:
            ids, versions = speaker.prompt(
                question.text, lang, samples if speaker.retrieves else ()
            )
            lines.append(Line(speaker.model, ids))
            shown.append(versions)
        writer = _Writer([speaker.name for speaker in self._speakers], shown, self._read)
        reported = 0.0
        for answers in speak(self._arms, lines, self._how):
            writer.take(answers)
            if report.stop_requested():
                raise Stopped
            if time.monotonic() - reported > _REPORT:
                report.said(question.number, writer.said, answered=False)
                reported = time.monotonic()
        report.said(question.number, writer.said, answered=True)
        for speaker in self._speakers:
            speaker.said.append((question.text, writer.said[speaker.name]["text"]))

    def _samples(self, question: str, lang: str) -> Sequence[Sample]:
        if self._library is None:
            return ()
        return self._library.nearest(question, lang, self._spec.samples)

    def _read(self, answer: Answer, over: bool) -> str:
        text = self._arms.tokenizer.decode(answer.tokens, skip_special_tokens=True).strip()
        return text if over else text.rstrip(_PARTIAL)


class _Writer:
    """The answers of one question as they grow: {arm: {"text", "tokens", "seconds", …}}."""

    def __init__(self, names: list[str], samples: list[list[str]], read: Any) -> None:
        self._read, self._began = read, time.perf_counter()
        self.said: dict[str, dict[str, Any]] = {
            name: {"text": "", "tokens": 0, "seconds": 0.0, "done": False, "finished": False,
                   "samples": own}
            for name, own in zip(names, samples, strict=True)
        }  # fmt: skip

    def take(self, answers: Sequence[tuple[Answer, bool]]) -> None:
        """What the arms have written by now."""
        seconds = round(time.perf_counter() - self._began, 3)
        for told, (answer, over) in zip(self.said.values(), answers, strict=True):
            if not told["done"]:
                told |= {
                    "text": self._read(answer, over), "tokens": len(answer.tokens),
                    "seconds": seconds, "done": over, "finished": answer.finished,
                }  # fmt: skip
