"""Texts become ids as in training: one beginning-of-text token, answers apart from prompts."""

from pathlib import Path

import pytest
import torch
from tokenizers.processors import TemplateProcessing
from transformers import AutoModelForCausalLM, AutoTokenizer

from shared.benchmarks import ContinuationItem
from shared.templates import render
from worker.evaluation import continuation
from worker.evaluation.continuation import split, windows
from worker.evaluation.reading import Reader, end_tokens
from worker.evaluation.scoring import score

TEXT = "The quick brown fox jumps over the lazy dog, and the river runs to the sea. " * 12


def reader(tokenizer, limit: int | None = None) -> Reader:
    return Reader(tokenizer, "auto", "bench", limit, 8)


@pytest.fixture
def tokenizer(tiny_llama: Path):
    return AutoTokenizer.from_pretrained(tiny_llama)


def test_the_beginning_token_stands_once_whoever_adds_it(tokenizer):
    plain = reader(tokenizer).prompt("Hello", "en", 4)
    assert plain == [0, *reader(tokenizer).ids(render("auto", "Hello", lang="en"))]
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", 0)]
    )
    assert tokenizer("x")["input_ids"][0] == 0
    assert reader(tokenizer).prompt("Hello", "en", 4) == plain
    assert reader(tokenizer).fit([0, 5, 6], 0) == ([0, 5, 6], False)


def test_a_tokenizer_without_a_beginning_token_gets_none(tokenizer):
    tokenizer.bos_token = None
    ids, cut = reader(tokenizer).fit([5, 6, 7], 0)
    assert (ids, cut) == ([5, 6, 7], False)


def test_cutting_keeps_the_end_and_the_beginning_token(tokenizer):
    found = reader(tokenizer, limit=10)
    assert found.fit(list(range(20, 40)), 4) == ([0, 35, 36, 37, 38, 39], True)
    assert found.fit([20, 21], 4) == ([0, 20, 21], False)


def test_a_token_across_the_cut_counts_to_the_continuation(tokenizer):
    found = reader(tokenizer)
    whole = found.ids("be small")
    assert split("be", " small", found) == (whole[:-1], whole[-1:])
    assert split("be sm", "all", found) == (whole[:-1], whole[-1:])
    # Trailing space of the context goes where the whole text's tokens put it.
    assert split("be ", "small", found) == (whole[:-1], whole[-1:])


def test_windows_of_a_long_text_give_the_chain_rules_sum(tiny_llama, tokenizer):
    """With a context that always fits, windows only say how the sum is cut in pieces."""
    model = AutoModelForCausalLM.from_pretrained(tiny_llama).eval()
    unlimited, limited = reader(tokenizer), reader(tokenizer, limit=400)
    before, after = split(TEXT[:60], TEXT[60:400], unlimited)
    [one], _ = windows(before, after, unlimited)
    limited.limit = 2 * (len(after) // 3)
    many, cut = windows(before, after, limited)
    assert (len(many), cut) == (4, True)
    assert sum(tree.scored for tree in many) == len(after)
    assert all(len(tree.context) + tree.scored - 1 <= limited.limit for tree in many)
    limited.limit = 400
    with torch.inference_mode():
        whole = score(model, [one], batch_tokens=512, packed=True)[0][0]
        pieces = [
            part
            for start in range(0, len(after), 40)
            for part in windows(before + after[:start], after[start : start + 40], limited)[0]
        ]
        total = sum(value for [value] in score(model, pieces, batch_tokens=512, packed=True))
    assert total == pytest.approx(whole, abs=1e-3)


def test_without_any_context_the_first_token_is_not_scored(tokenizer):
    tokenizer.bos_token = None
    [tree], _ = windows([], [7, 8, 9], reader(tokenizer))
    assert (tree.context, tree.endings) == ([7], [[8, 9]])


def test_every_end_token_of_the_base_ends_an_answer(tiny_llama, tokenizer):
    model = AutoModelForCausalLM.from_pretrained(tiny_llama)
    model.generation_config.eos_token_id = [7, 8]
    assert end_tokens(tokenizer, model) == {1, 7, 8}
    model.generation_config.eos_token_id = None
    assert end_tokens(tokenizer, model) == {1}


def test_an_item_counts_as_cut_once_however_many_windows_it_has(tokenizer):
    found = reader(tokenizer, limit=16)
    item = ContinuationItem(id="1", lang="en", context=TEXT[:100], continuation=TEXT[100:300])
    task = continuation.prepare([item], found)
    assert len(task.windows) > 2
    assert found.truncated == 1
