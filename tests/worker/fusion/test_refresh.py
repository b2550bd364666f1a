"""Refresh, end to end on tiny models: answers, what is dropped, and going on after a kill."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from donors import gauged_folder, read
from fusions import base_files, fusion_order, load, logits, relative, with_added
from shared.errors import NoAnswers, NoOp
from shared.orders import DataFile, WorkOrder
from shared.specs import Refresh, TrainingSpec
from shared.templates import render
from tiny_bases import write_adapter
from worker.checkpoints import load_base
from worker.fusion import answers, fuse
from worker.reporting import Silent, Stopped
from worker.training import train_adapter
from worker.training.place import Place

SAID = ["Paris.", "river", "巴黎。", "fox"]
ROWS = [
    {"instruction": f"Name thing {number}.", "input": "", "output": SAID[number % 4]}
    for number in range(8)
]
PARAMS: dict[str, Any] = {
    "method": "refresh", "dataset": "prompts", "max_new_tokens": 12, "rank": 4, "batch_size": 4,
    "max_steps": 6, "learning_rate": 0.01, "checkpoint_every": 2,
}  # fmt: skip


@pytest.fixture(scope="module")
def donor(tiny_llama: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter of the tiny LLaMA that knows the answers to ROWS, and where they end."""
    folder = tmp_path_factory.mktemp("donor")
    base = base_files(tiny_llama)
    model, tokenizer = load_base(base, "cpu", "fp32")
    spec = TrainingSpec(
        name="donor", base_model=base.name, dataset="d", rank=8, learning_rate=0.02,
        batch_size=8, max_steps=60, checkpoint_every=1000,
    )  # fmt: skip
    place = Place(base=base, dataset="d", out=folder / "out", checkpoints=folder / "checkpoints")
    train_adapter(model, tokenizer, ROWS, spec, "alpaca-en", place, Silent())
    return folder / "out"


@pytest.fixture
def prompts(tmp_path: Path) -> DataFile:
    return data_file(tmp_path, [row | {"output": "not looked at"} for row in ROWS])


def data_file(folder: Path, rows: list[dict[str, str]]) -> DataFile:
    path = folder / "prompts.json"
    path.write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")
    return DataFile(name="prompts", path=path, sha256="")


def order_for(
    tiny_llama: Path, tiny_glm: Path, donor: Path, prompts: DataFile, folder: Path, **params: Any
) -> WorkOrder:
    order = fusion_order(
        PARAMS | params, {"d": donor}, tiny_llama, folder, host=tiny_glm, dataset=prompts
    )
    facts = {"template": "alpaca-en"}
    order.adapters = [order.adapters[0].model_copy(update={"facts": facts})]
    return order


class Stopping(Silent):
    """Asks to stop once the given phase has reported progress `times` times."""

    def __init__(self, phase: str, times: int) -> None:
        super().__init__()
        self._left, self._phase = times, phase

    def progress(self, done: int, total: int, unit: str) -> None:
        super().progress(done, total, unit)
        if self.phases[-1] == self._phase:
            self._left -= 1
            self.stop = self._left <= 0


def told(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "answers.jsonl").read_text(encoding="utf-8").splitlines()
    return sorted((json.loads(line) for line in lines[1:]), key=lambda answer: answer["row"])


def test_a_host_adapter_learns_what_the_donor_says(
    tiny_llama: Path, tiny_glm: Path, donor: Path, prompts: DataFile, tmp_path: Path
):
    report = Silent()
    order = order_for(tiny_llama, tiny_glm, donor, prompts, tmp_path / "a1", max_steps=12)
    made = fuse(order, report)

    answers_told = told(order.folder)
    assert [answer["row"] for answer in answers_told] == list(range(8))
    assert {answer["text"] for answer in answers_told} <= set(SAID)
    assert {name: made.facts[name] for name in ("asked", "kept", "unfinished", "empty")} == {
        "asked": 8, "kept": 8, "unfinished": 0, "empty": 0,
    }  # fmt: skip
    assert made.facts["donors"] == {"d": "tiny-llama"}
    assert made.facts["base"] == "tiny-glm"
    assert made.facts["template"] == "alpaca-en"
    assert made.facts["answering_minutes"] > 0
    assert made.facts["training_minutes"] > 0
    found, dense = logits(load(tiny_glm, made.folder)), with_added(tiny_glm, read(made.folder))
    assert relative(found, logits(dense)) < 1e-5
    assert float((found - logits(load(tiny_glm))).abs().max()) > 0
    losses = [values["loss"] for _, values in report.steps]
    assert losses[-1] < losses[0] - 0.5
    stored = json.loads((made.folder / "graft.json").read_text(encoding="utf-8"))
    assert stored["template"] == "alpaca-en"
    phases = [phase for phase in report.phases if phase in ("answering", "training")]
    assert phases == ["answering", "training"]


@pytest.mark.dense_reference("refresh")
def test_it_is_plain_training_on_what_the_donor_generates(
    tiny_llama: Path, tiny_glm: Path, donor: Path, prompts: DataFile, tmp_path: Path
):
    report = Silent()
    order = order_for(tiny_llama, tiny_glm, donor, prompts, tmp_path / "a1", batch_size=8)
    made = fuse(order, report)
    rows, nats, labels = [], 0.0, 0
    theirs, ours = load(tiny_llama, donor), load(tiny_glm)
    tokenizers = [load_base(base_files(base), "cpu", "fp32")[1] for base in (tiny_llama, tiny_glm)]
    for row in ROWS:
        text = render("alpaca-en", row["instruction"])
        asked, read = (
            [each.bos_token_id, *each(text, add_special_tokens=False)["input_ids"]]
            for each in tokenizers
        )
        ids = torch.tensor([asked])
        given = {"attention_mask": torch.ones_like(ids), "max_new_tokens": 12, "do_sample": False}
        said = theirs.generate(input_ids=ids, **given)[0, len(asked) :]
        answer = tokenizers[0].decode(said, skip_special_tokens=True).strip()
        rows.append(row | {"output": answer})
        end = tokenizers[1].eos_token_id
        learned = [*tokenizers[1](answer, add_special_tokens=False)["input_ids"], end]
        with torch.no_grad():
            found = ours(input_ids=torch.tensor([read + learned])).logits[0].log_softmax(-1)
        for place, token in enumerate(learned, start=len(read) - 1):
            nats, labels = nats - float(found[place, token]), labels + 1
    assert report.steps[0][1]["loss"] == pytest.approx(nats / labels, rel=1e-4)

    base, place = base_files(tiny_glm), tmp_path / "plain"
    where = Place(base=base, dataset="d", out=place / "out", checkpoints=place / "checkpoints")
    given = load_base(base, "cpu", "fp32")
    learning = Refresh.model_validate(PARAMS | {"batch_size": 8})
    plain = train_adapter(*given, rows, learning, "alpaca-en", where, Silent())
    weights = [load_file(each.folder / "adapter_model.safetensors") for each in (made, plain)]
    assert weights[0].keys() == weights[1].keys()
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])


def test_other_factors_of_the_donor_teach_the_same(
    tiny_llama: Path, tiny_glm: Path, donor: Path, prompts: DataFile, tmp_path: Path
):
    """Greedy answers do not change with rounding, and all else follows from them."""
    turned = gauged_folder(donor, tmp_path / "turned")
    weights = []
    for name, adapter in (("plain", donor), ("other", turned)):
        order = order_for(tiny_llama, tiny_glm, adapter, prompts, tmp_path / name, max_steps=2)
        weights.append(load_file(fuse(order, Silent()).folder / "adapter_model.safetensors"))
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])


def test_answers_are_the_donors_own_greedy_text(
    tiny_llama: Path, tiny_glm: Path, donor: Path, tmp_path: Path
):
    """Prompts of other lengths than trained on, each against `generate` on that prompt alone."""
    asked = ["Name thing 2.", "Name the capital of France, please, and nothing but that.", "Say"]
    rows = [{"instruction": each, "input": "", "output": "x"} for each in [*asked, "Name thing 1."]]
    order = order_for(tiny_llama, tiny_glm, donor, data_file(tmp_path, rows), tmp_path / "a1")
    fuse(order, Silent())
    model = load(tiny_llama, donor)
    _, tokenizer = load_base(base_files(tiny_llama), "cpu", "fp32")
    for answer in told(order.folder):
        text = render("alpaca-en", rows[answer["row"]]["instruction"])
        ids = [tokenizer.bos_token_id, *tokenizer(text, add_special_tokens=False)["input_ids"]]
        prompt = torch.tensor([ids])
        made = model.generate(
            input_ids=prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=12,
            do_sample=False,
        )[0, len(ids) :].tolist()  # fmt: skip
        ended = tokenizer.eos_token_id in made
        assert answer["outcome"] == ("finished" if ended else "unfinished")
        assert answer["text"] == tokenizer.decode(made, skip_special_tokens=True).strip()


def test_a_killed_answering_goes_on_where_it_was(
    tiny_llama: Path, tiny_glm: Path, donor: Path, prompts: DataFile, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):  # fmt: skip
    monkeypatch.setattr(answers, "CHUNK", 3)
    sampling = {"temperature": 1.0, "max_steps": 1}
    first = order_for(tiny_llama, tiny_glm, donor, prompts, tmp_path / "a1", **sampling)
    report = Stopping("answering", times=1)
    with pytest.raises(Stopped):
        fuse(first, report)
    [(step, folder)] = report.checkpoints
    assert step == -6
    assert len(told(folder)) == 3

    second = order_for(tiny_llama, tiny_glm, donor, prompts, tmp_path / "a2", **sampling)
    second.resume_from = folder
    again = Silent()
    fuse(second, again)
    assert "info: 3 of 8 answers are there from an earlier attempt" in again.lines

    whole = order_for(tiny_llama, tiny_glm, donor, prompts, tmp_path / "b", **sampling)
    fuse(whole, Silent())
    texts = [[answer["text"] for answer in told(each.folder)] for each in (second, whole)]
    assert texts[0] == texts[1]


def test_a_killed_training_goes_on_without_the_donor_to_the_same_weights(
    tiny_llama: Path, tiny_glm: Path, donor: Path, prompts: DataFile, tmp_path: Path
):
    report = Stopping("training", times=3)
    with pytest.raises(Stopped):
        fuse(order_for(tiny_llama, tiny_glm, donor, prompts, tmp_path / "a1"), report)
    steps = [step for step, _ in report.checkpoints]
    assert steps == [-1, 2, 3]
    second = order_for(tiny_llama, tiny_glm, donor, prompts, tmp_path / "a2")
    # Only this folder would arrive on another host.
    second.resume_from = report.checkpoints[-1][1].rename(tmp_path / "moved")
    again = Silent()
    continued = fuse(second, again)
    assert "loading donor" not in again.phases
    whole = fuse(order_for(tiny_llama, tiny_glm, donor, prompts, tmp_path / "b"), Silent())
    weights = [load_file(made.folder / "adapter_model.safetensors") for made in (continued, whole)]
    assert weights[0].keys() == weights[1].keys()
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])


def test_a_donor_that_never_ends_gives_nothing_to_learn(
    tiny_llama: Path, tiny_glm: Path, prompts: DataFile, tmp_path: Path
):
    rambling = write_adapter(tiny_llama, tmp_path / "rambling")
    order = order_for(
        tiny_llama, tiny_glm, rambling, prompts, tmp_path / "a1", max_new_tokens=2, rows=3
    )
    with pytest.raises(NoAnswers, match=r'None of the 3 answers of donor "d".*3 did not end'):
        fuse(order, Silent())


def test_a_donor_that_changes_nothing_is_a_no_op(
    tiny_llama: Path, tiny_glm: Path, prompts: DataFile, tmp_path: Path
):
    idle = write_adapter(tiny_llama, tmp_path / "idle", scale=1e-12)
    order = order_for(tiny_llama, tiny_glm, idle, prompts, tmp_path / "a1")
    with pytest.raises(NoOp, match='donor "d" changes no logit of its own base'):
        fuse(order, Silent())


def test_prompts_without_room_for_an_answer_are_not_asked(
    tiny_llama: Path, tiny_glm: Path, donor: Path, tmp_path: Path
):
    long = {"instruction": "river " * 600, "input": "", "output": "x"}
    prompts = data_file(tmp_path, [ROWS[0], long, ROWS[1]])
    order = order_for(tiny_llama, tiny_glm, donor, prompts, tmp_path / "a1")
    made = fuse(order, Silent())
    assert (made.facts["asked"], made.facts["kept"], made.facts["too_long"]) == (3, 2, 1)
    assert [answer["outcome"] for answer in told(order.folder)] == [
        "finished", "unasked", "finished",
    ]  # fmt: skip


def test_rows_are_chosen_by_the_seed(
    tiny_llama: Path, tiny_glm: Path, donor: Path, prompts: DataFile, tmp_path: Path
):
    chosen = []
    for attempt, seed in enumerate((0, 0, 1)):
        folder = tmp_path / str(attempt)
        order = order_for(
            tiny_llama, tiny_glm, donor, prompts, folder, rows=3, seed=seed, max_steps=1
        )
        fuse(order, Silent())
        chosen.append([answer["row"] for answer in told(folder)])
    assert chosen[0] == chosen[1] != chosen[2]
    assert len(chosen[0]) == 3
