"""A playground session's engine: who answers what, what is remembered, and how it ends."""

from pathlib import Path
from typing import Any

import pytest
import torch

from orders_of import base_files
from shared.errors import NoOp
from shared.formats import Conversation, Turn
from shared.orders import AdapterFiles, DataFile, WorkOrder
from shared.retrieval import Sample, write_samples
from shared.specs import ChatSpec
from shared.templates import pieces, render
from tiny_bases import write_adapter
from worker.chat import chat
from worker.chat.session import Session
from worker.checkpoints import load_base
from worker.evaluation.arms import Arms
from worker.evaluation.decoding import decode
from worker.evaluation.reading import end_tokens
from worker.mailbox import Question, post
from worker.reporting import Silent, Stopped

KINDS: dict[str, dict[str, Any]] = {
    "plain": {"seed": 1, "scale": 0.4}, "dora": {"seed": 2, "scale": 0.4, "use_dora": True},
    "wide": {"seed": 3, "scale": 0.4, "rank": 8},
}  # fmt: skip
TEMPLATES = {"plain": "alpaca-en", "dora": "vicuna", "wide": "alpaca-en"}
CAPITAL = Sample(
    id="s1", since=1, lang="en", instruction="Name the capital of France.", output="Paris."
)


class Listening(Silent):
    """Keeps what is said, and stops once `most` reports were made."""

    def __init__(self, most: int = 10**6) -> None:
        super().__init__()
        self.heard: list[tuple[int, dict[str, str], bool]] = []
        self.samples: dict[str, list[str]] = {}
        self.most = most

    def said(self, turn: int, answers: dict[str, Any], *, answered: bool) -> None:
        self.heard.append((turn, {arm: told["text"] for arm, told in answers.items()}, answered))
        self.samples = {arm: told["samples"] for arm, told in answers.items()}
        self.stop = len(self.heard) >= self.most

    def answers(self) -> list[dict[str, str]]:
        return [texts for _, texts, answered in self.heard if answered]


@pytest.fixture
def order(tiny_llama: Path, tmp_path: Path):
    """An order of a session with questions, and whatever else its spec says."""

    def make(*questions: str | Question, **asked: Any) -> WorkOrder:
        names = asked.setdefault("adapters", list(KINDS))
        adapters = [
            AdapterFiles(
                name=name, folder=write_adapter(tiny_llama, tmp_path / name, **KINDS[name]),
                base=base_files(tiny_llama), facts={"template": TEMPLATES[name]},
            )
            for name in names
        ]  # fmt: skip
        known = tmp_path / "samples.jsonl"
        write_samples(known, [CAPITAL])
        values = {"name": "talk", "base_model": "tiny", "max_new_tokens": 12, "idle_timeout": 1}
        made = WorkOrder(
            job_id="job", epoch=1, spec=ChatSpec.model_validate(values | asked),
            base=base_files(tiny_llama), adapters=adapters, folder=tmp_path / "a1",
        )  # fmt: skip
        if asked.get("knowledge"):
            made.knowledge = DataFile(name="k@1", path=known, sha256="")
        for number, each in enumerate(questions, start=1):
            post(made.folder, Question(number=number, text=each) if isinstance(each, str) else each)
        return made

    return make


def alone(order: WorkOrder, name: str, prompt: str) -> str:
    """What one arm answers a prompt by itself, as in an evaluation."""
    assert order.base is not None
    arms = Arms(*load_base(order.base, "cpu", "fp32"), order.adapters)
    own = arms.tokenizer(prompt, add_special_tokens=False)["input_ids"]
    ids = [arms.tokenizer.bos_token_id, *own]
    with arms.switched_to(name) as (model, _), torch.inference_mode():
        ends = end_tokens(arms.tokenizer, arms.model)
        [found] = decode(model, [ids], ends=ends, max_new_tokens=12, batch_tokens=4096)
    return arms.tokenizer.decode(found.tokens, skip_special_tokens=True).strip()


def test_every_arm_answers_in_its_own_template_as_it_would_alone(order) -> None:
    made, report = order("Name the capital of France."), Listening()
    assert chat(made, report) == 1
    [answers] = report.answers()
    assert list(answers) == ["base", *KINDS]
    templates = {"base": "auto", **TEMPLATES}
    for name, text in answers.items():
        prompt = render(templates[name], "Name the capital of France.", lang="en")
        assert text == alone(made, name, prompt), name
    assert len(set(answers.values())) == len(answers)
    assert report.phases == ["checking adapters", "loading base", "attaching adapters", "answering"]
    assert (made.out / "chat.json").is_file()


def test_an_arm_goes_on_from_what_it_said_itself(order) -> None:
    made, report = order("Name a river.", "And the sea?", adapters=["plain"]), Listening()
    chat(made, report)
    first, second = report.answers()
    turns = (Turn("user", "Name a river."), Turn("assistant", first["plain"]),
             Turn("user", "And the sea?"))  # fmt: skip
    prompt = "".join(
        piece.text + ("</s>" if piece.ends else "")
        for piece in pieces("alpaca-en", Conversation(turns), lang="en")
    )
    assert second["plain"] == alone(made, "plain", prompt)


def test_samples_stand_before_the_question_of_the_arms_that_retrieve(order) -> None:
    asked = "Name the capital of France."
    spec = {"adapters": ["plain"], "knowledge": "k@1",
            "knowledge_arms": ["base+retrieved", "adapter+retrieved"]}  # fmt: skip
    made, report = order(asked, **spec), Listening()
    chat(made, report)
    [answers] = report.answers()
    assert report.samples == {"base": [], "plain": [], "base+retrieved": ["s1@1"],
                              "plain+retrieved": ["s1@1"]}  # fmt: skip
    assert answers["base"] != answers["base+retrieved"]


def test_the_next_attempt_remembers_what_was_answered_and_asks_only_the_rest(order) -> None:
    told = {"base": {"text": "A river."}}
    before = Question(number=1, text="Name a river.", answers=told)
    made, report = order(before, "And the sea?", adapters=[]), Listening()
    chat(made, report)
    assert {turn for turn, _, _ in report.heard} == {2}
    fresh = Listening()
    chat(order("Name a river.", "And the sea?", adapters=[]), fresh)
    assert fresh.answers()[1] != report.answers()[0]


def test_a_stop_comes_between_two_tokens_and_leaves_the_question_open(order, monkeypatch) -> None:
    monkeypatch.setattr("worker.chat.session._REPORT", -1.0)
    made, report = order("Name a river.", adapters=[]), Listening(most=3)
    with pytest.raises(Stopped):
        chat(made, report)
    texts = [texts["base"] for _, texts, answered in report.heard if not answered]
    assert len(texts) == 3
    assert texts[2].startswith(texts[0])
    assert report.answers() == []


def test_what_does_not_fit_goes_whole_and_the_oldest_goes_first(order) -> None:
    made = order(adapters=[])
    assert made.base is not None
    session = Session(made, made.spec, Arms(*load_base(made.base, "cpu", "fp32"), ()))
    [speaker] = session._speakers
    speaker.said = [("old " * 60, "one"), ("new", "two")]
    speaker.reader.limit = 160
    ids, _ = speaker.prompt("And now?", "en", [])
    text = speaker.reader.tokenizer.decode(ids)
    assert len(ids) <= 160 - 12
    assert "old" not in text
    assert "new" in text
    assert "two" in text


def test_an_adapter_that_changes_nothing_ends_the_session_at_once(order, tiny_llama, tmp_path):
    made = order("Hello?", adapters=["plain"])
    write_adapter(tiny_llama, tmp_path / "plain", scale=0.0)
    with pytest.raises(NoOp, match="plain"):
        chat(made, Listening())
