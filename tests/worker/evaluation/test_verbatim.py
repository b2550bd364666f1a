"""Items whose prompt stands as it is, and that bring their own ends and ways of being read."""

from pathlib import Path
from typing import Any

import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

from shared.benchmarks import Benchmark, ChoiceItem, ContinuationItem, GenerateItem
from shared.errors import BadData
from shared.specs import EvaluationSpec
from worker.evaluation import choice, continuation, generate
from worker.evaluation.evaluator import asked_of
from worker.evaluation.reading import Reader
from worker.evaluation.tasks import Arm

CHOICE: dict[str, Any] = {
    "id": "q", "lang": "en", "prompt": "The quick brown fox ", "choices": ["jumps", " over"],
    "answer": 0,
}  # fmt: skip
ASKED: dict[str, Any] = {"id": "g", "lang": "en", "prompt": "The quick", "references": ["fox"]}


@pytest.fixture
def reader(tiny_llama: Path) -> Reader:
    return Reader(AutoTokenizer.from_pretrained(tiny_llama), "auto", "it", 512, 8)


@pytest.fixture
def arm(tiny_llama: Path, reader: Reader) -> Arm:
    model = AutoModelForCausalLM.from_pretrained(tiny_llama)
    return Arm(model, reader.tokenizer, frozenset(), True, 512, 8)


def test_a_verbatim_prompt_and_its_choices_are_one_text(reader: Reader) -> None:
    [tree] = choice.prepare([ChoiceItem(**CHOICE, verbatim=True)], reader).trees
    read = reader.tokenizer.decode
    assert read(tree.context) == "<s>The quick brown fox"
    # The space at the prompt's end is the choices' first letter.
    assert [read(ending) for ending in tree.endings] == [" jumps", "  over"]
    whole = reader.ids("The quick brown fox jumps")
    assert tree.context[1:] + tree.endings[0] == whole
    [wrapped] = choice.prepare([ChoiceItem(**CHOICE)], reader).trees
    assert "### Response:" in read(wrapped.context)


def test_a_choice_without_a_token_of_its_own_is_refused(reader: Reader) -> None:
    item = ChoiceItem(**CHOICE | {"prompt": "a", "choices": ["b", "c"]}, verbatim=True)
    reader.ids = lambda text: [len(text) // 3]
    with pytest.raises(BadData, match=r"no token of “b”"):
        choice.prepare([item], reader)


def test_a_text_without_any_context_is_foreseen_from_its_beginning(reader: Reader) -> None:
    item = ContinuationItem(id="c", lang="en", context="", continuation="The quick fox")
    [tree] = continuation.prepare([item], reader).windows
    assert tree.context == [reader.tokenizer.bos_token_id]
    assert tree.endings == [reader.ids("The quick fox")]


def test_an_item_may_end_its_answer_by_its_own_rules(arm: Arm, reader: Reader) -> None:
    plain = GenerateItem(**ASKED, verbatim=True)
    [[whole]] = generate.prepare([plain], reader).run(arm, lambda items, tokens: None)
    mark = whole.output[2]
    first = whole.output[0]
    items = [
        plain,
        *(
            GenerateItem.model_validate(ASKED | {"verbatim": True} | rule)
            for rule in (
                {"stop": [mark]},
                {"max_new_tokens": 1},
                {"references": [first.upper()],
                 "exact": {"steps": [{"regex": "(?s)(.)"}], "case": False}},
                {"exact": {"steps": [{"regex": "§"}]}},
            )
        ),
    ]  # fmt: skip
    [rows] = generate.prepare(items, reader).run(arm, lambda items, tokens: None)
    assert rows[0].output == whole.output
    assert rows[1].output == whole.output[: whole.output.index(mark)].strip()
    assert rows[1].values["unfinished"] == 0
    assert whole.output.startswith(rows[2].output)
    assert len(rows[2].output) == 1
    assert (rows[3].output, rows[3].values["exact_match"]) == (first, 1)
    assert (rows[4].output, rows[4].values["exact_match"]) == ("[invalid]", 0)


def test_no_sample_goes_before_a_prompt_that_stays() -> None:
    spec = EvaluationSpec(name="c", base_model="b", benchmarks=["it"], knowledge="notes")
    for verbatim, arms in ((False, {"base": "base+random"}), (True, {})):
        items = [ChoiceItem(**CHOICE, verbatim=verbatim)]
        found = Benchmark("choice", [*items], {"en": 1}, {})
        assert asked_of(spec, "random", found) == arms


def test_keys_that_came_later_leave_older_hashes_alone() -> None:
    plain = GenerateItem(**ASKED)
    same = GenerateItem(**ASKED, stop=[], max_new_tokens=None, exact=None, verbatim=False)
    assert plain.item_hash == same.item_hash
    assert plain.item_hash == "3bb9f91de77ee9ab9a014863d7685c0e17ba56b13c1b0c7f3bfc12e88adee557"
    changes: list[dict[str, Any]] = [
        {"stop": ["\n"]}, {"max_new_tokens": 3}, {"exact": {}}, {"verbatim": True},
    ]  # fmt: skip
    for change in changes:
        assert GenerateItem(**ASKED, **change).item_hash != plain.item_hash
