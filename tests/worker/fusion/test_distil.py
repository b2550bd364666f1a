"""Delta distillation on tiny models: the whole method, beside dense loops."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers.convert_slow_tokenizer import bytes_to_unicode

from donors import CAPITALS, gauged_folder, read
from fusions import base_files, fusion_order, load, logits, relative, with_added
from shared.errors import NoOp, TwoVocabularies
from shared.orders import DataFile
from shared.specs import TrainingSpec
from shared.templates import render
from tiny_bases import make_llama, write_adapter
from worker.checkpoints import load_base
from worker.fusion import fuse
from worker.reporting import Silent
from worker.training import Place, train_adapter


def prompts(folder: Path) -> DataFile:
    path = folder / "prompts.json"
    path.write_text(json.dumps(CAPITALS, ensure_ascii=False), encoding="utf-8")
    return DataFile(name="prompts", path=path, sha256="")


PARAMS: dict[str, Any] = {
    "method": "distil", "dataset": "prompts", "max_new_tokens": 40, "rank": 4, "batch_size": 2,
    "max_steps": 30, "learning_rate": 0.02,
}  # fmt: skip


@pytest.fixture(scope="module")
def donor(tiny_llama: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter that knows CAPITALS by heart, and where their answers end."""
    folder = tmp_path_factory.mktemp("donor")
    base = base_files(tiny_llama)
    spec = TrainingSpec(
        name="d", base_model="b", dataset="d", rank=8, learning_rate=0.02, batch_size=2,
        max_steps=50, checkpoint_every=1000,
    )  # fmt: skip
    place = Place(base=base, dataset="d", out=folder / "out", checkpoints=folder / "c")
    train_adapter(*load_base(base, "cpu", "fp32"), CAPITALS, spec, "auto", place, Silent())
    return folder / "out"


@pytest.mark.parametrize("start", ["fresh", "copy"])
def test_the_host_moves_towards_what_the_donor_does(
    tiny_llama: Path, tiny_glm: Path, donor: Path, tmp_path: Path, start: str
) -> None:
    report = Silent()
    order = fusion_order(
        PARAMS | {"start": start}, {"d": donor}, tiny_llama, tmp_path / "a1", host=tiny_glm,
        dataset=prompts(tmp_path),
    )  # fmt: skip
    made = fuse(order, report)
    losses = [values["loss"] for _, values in report.steps]
    assert losses[-1] < 0.5 * losses[0]
    assert made.facts["alignment"] == "bytes"
    assert 0.5 < made.facts["taught_share"] <= 1
    assert made.facts["kept"] == 2
    found, dense = logits(load(tiny_glm, made.folder)), with_added(tiny_glm, read(made.folder))
    assert relative(found, logits(dense)) < 1e-5
    assert float((found - logits(load(tiny_glm))).abs().max()) > 0
    begun = [line for line in report.lines if "begins with" in line]
    assert len(begun) == (start == "copy")


def dense_loss(donor_base: Path, adapter: Path, host_base: Path) -> float:
    """Nats a label before any step: KL from the host moved as the donor moves to the host itself
    where both begin a token, the text's own token elsewhere; token by token, in plain loops."""
    donor, plain, host = load(donor_base, adapter), load(donor_base), load(host_base)
    theirs, ours = (
        load_base(base_files(base), "cpu", "fp32")[1] for base in (donor_base, host_base)
    )
    begin = beginnings(theirs, ours)
    alike = theirs.get_vocab() == ours.get_vocab()
    total, labels = 0.0, 0
    for row in CAPITALS:
        text = render("auto", row["instruction"])
        asked, read = ([each.bos_token_id, *plain_ids(each, text)] for each in (theirs, ours))
        answers = [[*plain_ids(each, row["output"]), each.eos_token_id] for each in (theirs, ours)]
        with torch.no_grad():
            after, before = (
                each(input_ids=torch.tensor([asked + answers[0]])).logits[0].log_softmax(-1)
                for each in (donor, plain)
            )
            own = host(input_ids=torch.tensor([read + answers[1]])).logits[0].log_softmax(-1)
        begins = {byte: n for n, byte in reversed([*enumerate(begun(theirs, answers[0]))])}
        for number, byte in enumerate(begun(ours, answers[1])):
            here = own[len(read) - 1 + number]
            if byte in begins:
                place = len(asked) - 1 + begins[byte]
                two = after[place], before[place]
                moved = here + (two[0] - two[1] if alike else change(begin, *two))
                wanted = moved.log_softmax(-1)
                total += float((wanted.exp() * (wanted - here)).sum())
            else:
                total -= float(here[answers[1][number]])
            labels += 1
    return total / labels


def plain_ids(tokenizer: Any, text: str) -> list[int]:
    return tokenizer(text, add_special_tokens=False)["input_ids"]


def spelled(tokenizer: Any, token: int) -> bytes:
    """A byte-level token's bytes; none of a special one."""
    piece = tokenizer.convert_ids_to_tokens(token)
    stands = {char: byte for byte, char in bytes_to_unicode().items()}
    return b"" if token in tokenizer.all_special_ids else bytes(stands[char] for char in piece)


def begun(tokenizer: Any, answer: list[int]) -> list[int]:
    """Bytes of the answer before each token."""
    sizes = [len(spelled(tokenizer, token)) for token in answer]
    return [sum(sizes[:number]) for number in range(len(sizes))]


def beginnings(theirs: Any, ours: Any) -> list[list[int]]:
    """For each of our tokens, those of theirs that can begin its text."""
    texts = [spelled(theirs, token) for token in range(len(theirs))]
    named = {ours.eos_token_id: theirs.eos_token_id, ours.bos_token_id: theirs.bos_token_id,
             ours.pad_token_id: theirs.pad_token_id}  # fmt: skip
    found: list[list[int]] = []
    for token in range(len(ours)):
        text = spelled(ours, token)
        begin = [n for n, other in enumerate(texts) if text and other == text]
        if text and not begin:
            begin = [n for n, other in enumerate(texts) if other.startswith(text)]
            try:
                begin.append(plain_ids(theirs, text.decode())[0])
            except UnicodeDecodeError:
                leads = [n for n, other in enumerate(texts) if other and text.startswith(other)]
                begin.append(max(leads, key=lambda n: len(texts[n])))
        found.append([named[token]] if token in named else begin)
    return found


def change(begin: list[list[int]], after: torch.Tensor, before: torch.Tensor) -> torch.Tensor:
    """Log ratio of the summed probabilities of what can begin each of our tokens."""
    found = torch.zeros(len(begin))
    for token, those in enumerate(begin):
        if those:
            new, old = (max(float(each[those].exp().sum()), 1e-9) for each in (after, before))
            found[token] = math.log(new / old)
    return found


@pytest.mark.dense_reference("distil")
@pytest.mark.parametrize("family", ["llama", "glm"])
def test_it_starts_from_the_divergence_that_dense_loops_find(
    family: str, tiny_llama: Path, tiny_glm: Path, donor: Path, tmp_path: Path
) -> None:
    """With one vocabulary, and with two that are aligned by bytes."""
    host = tiny_glm if family == "glm" else make_llama(tmp_path / "host", seed=7)
    report = Silent()
    order = fusion_order(
        PARAMS | {"max_steps": 1}, {"d": donor}, tiny_llama, tmp_path / "a1", host=host,
        dataset=prompts(tmp_path),
    )  # fmt: skip
    made = fuse(order, report)
    assert made.facts["alignment"] == ("bytes" if family == "glm" else "one vocabulary")
    [(_, values)] = report.steps
    assert values["loss"] == pytest.approx(dense_loss(tiny_llama, donor, host), rel=1e-4)


def test_other_factors_of_the_donor_teach_the_same(
    tiny_llama: Path, tiny_glm: Path, donor: Path, tmp_path: Path
) -> None:
    turned = gauged_folder(donor, tmp_path / "turned")
    found = []
    for name, adapter in (("plain", donor), ("other", turned)):
        params = PARAMS | {"max_steps": 2, "learning_rate": 1e-3, "start": "copy"}
        order = fusion_order(
            params, {"d": adapter}, tiny_llama, tmp_path / name, host=tiny_glm,
            dataset=prompts(tmp_path),
        )  # fmt: skip
        found.append(logits(load(tiny_glm, fuse(order, Silent()).folder)))
    assert relative(found[0], found[1]) < 1e-3
    assert relative(found[0], logits(load(tiny_glm))) > 1e-2


def test_a_donor_that_does_nothing_teaches_nothing(
    tiny_llama: Path, tiny_glm: Path, tmp_path: Path
) -> None:
    idle = write_adapter(tiny_llama, tmp_path / "idle", scale=1e-12)
    order = fusion_order(
        PARAMS, {"d": idle}, tiny_llama, tmp_path / "a1", host=tiny_glm, dataset=prompts(tmp_path)
    )
    with pytest.raises(NoOp, match="changes no logit"):
        fuse(order, Silent())


def test_a_host_of_the_same_vocabulary_learns_what_the_donor_says(
    tiny_llama: Path, donor: Path, tmp_path: Path
) -> None:
    host = make_llama(tmp_path / "other", seed=7)
    report = Silent()
    order = fusion_order(
        PARAMS | {"target": "donor", "temperature": 1.0, "start": "copy"}, {"d": donor}, tiny_llama,
        tmp_path / "a1", host=host, dataset=prompts(tmp_path),
    )  # fmt: skip
    made = fuse(order, report)
    losses = [values["loss"] for _, values in report.steps]
    assert losses[-1] < 0.5 * losses[0]
    assert made.facts["alignment"] == "one vocabulary"


def test_the_donor_cannot_be_the_target_across_vocabularies(
    tiny_llama: Path, tiny_glm: Path, donor: Path, tmp_path: Path
) -> None:
    order = fusion_order(
        PARAMS | {"target": "donor"}, {"d": donor}, tiny_llama, tmp_path / "a1", host=tiny_glm,
        dataset=prompts(tmp_path),
    )  # fmt: skip
    with pytest.raises(TwoVocabularies, match='Take target "change"'):
        fuse(order, Silent())
