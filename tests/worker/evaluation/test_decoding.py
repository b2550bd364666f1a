"""Greedy decoding equals transformers' own, one prompt at a time."""

import math

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from shared.errors import NotFinite
from worker.evaluation.decoding import Decoding, decode, decode_all
from worker.evaluation.stops import Stops, before

PROMPTS = [[1, 40, 50, 60], [1, 70], [1, *range(20, 60)], [1, 99, 98, 97, 96, 95], [1, 200, 100]]


@pytest.fixture(scope="module", params=["tiny_llama", "tiny_glm"])
def model(request):
    return AutoModelForCausalLM.from_pretrained(request.getfixturevalue(request.param)).eval()


def answers(model, ends: frozenset[int], **how):
    options = {"ends": ends, "max_new_tokens": 12, "batch_tokens": 512} | how
    with torch.inference_mode():
        return decode(model, PROMPTS, **options)


def reference(model, prompt: list[int], ends: frozenset[int]) -> list[int]:
    config = GenerationConfig(max_new_tokens=12, eos_token_id=sorted(ends), pad_token_id=2)
    ids = torch.tensor([prompt])
    made = model.generate(ids, attention_mask=torch.ones_like(ids), generation_config=config)
    return [token for token in made[0, len(prompt) :].tolist() if token not in ends]


def common_ends(model) -> frozenset[int]:
    """Tokens that end some answers early and leave others going: a random base has no EOS habit."""
    free = answers(model, frozenset({2}))
    return frozenset({2, free[0].tokens[3], free[3].tokens[7]})


def test_answers_equal_transformers_greedy_ones_when_rows_end_at_different_steps(model):
    ends = common_ends(model)
    found = answers(model, ends)
    assert [answer.tokens for answer in found] == [
        reference(model, prompt, ends) for prompt in PROMPTS
    ]
    assert len({len(answer.tokens) for answer in found}) > 1
    assert [answer.finished for answer in found] == [len(a.tokens) < 12 for a in found]


def test_neither_the_batch_nor_the_bases_sampling_settings_change_an_answer(model, monkeypatch):
    ends = common_ends(model)
    monkeypatch.setattr(model.generation_config, "do_sample", True)
    monkeypatch.setattr(model.generation_config, "repetition_penalty", 5.0)
    assert answers(model, ends) == answers(model, ends, batch_tokens=1)


def test_a_finished_row_is_not_computed_on(model):
    ends = common_ends(model)
    ended: list[int] = []
    steps: list[int] = []

    def done(places, tokens):
        ended.extend(places)
        steps.append(tokens)

    found = answers(model, ends, done=done)
    assert sorted(ended) == list(range(len(PROMPTS)))
    prompt_tokens = sum(len(prompt) for prompt in PROMPTS)
    # Each answer's own tokens run through the model once, but for its last.
    made = sum(len(answer.tokens) + answer.finished - 1 for answer in found)
    assert sum(steps) == prompt_tokens + made


def test_a_model_that_yields_nan_is_an_error_not_an_answer(tiny_llama):
    model = AutoModelForCausalLM.from_pretrained(tiny_llama).eval()
    with torch.no_grad():
        model.model.norm.weight[0] = math.nan
    with pytest.raises(NotFinite):
        answers(model, frozenset({2}))


def test_decoding_records_nothing_for_gradients_even_where_weights_are_trainable(model):
    """Through the cache each step would otherwise keep the activations of all steps before it."""
    assert any(weight.requires_grad for weight in model.parameters())
    recorded: list[bool] = []
    hook = model.register_forward_hook(
        lambda _, __, made: recorded.append(made.logits.requires_grad)
    )
    try:
        decode(model, PROMPTS, ends=frozenset(), max_new_tokens=3, batch_tokens=512)
    finally:
        hook.remove()
    assert recorded == [False] * 3


def test_shared_beginnings_and_room_set_aside_change_no_answer(model):
    ends = common_ends(model)
    opening = list(range(30, 50))
    prompts = [[*opening, *prompt[1:]] for prompt in PROMPTS] + PROMPTS
    plain = decode(model, prompts, ends=ends, max_new_tokens=12, batch_tokens=512)
    tokens: list[int] = []
    how = Decoding(ends=ends, max_new_tokens=12, batch_tokens=512, packed=True)
    with torch.inference_mode():
        [found] = decode_all(model, prompts, how, done=lambda _, ran: tokens.append(ran))
    assert found == plain
    # The opening is read once instead of five times.
    made = sum(len(answer.tokens) + answer.finished - 1 for answer in found)
    assert sum(tokens) == sum(map(len, prompts)) - 4 * len(opening) + made


def test_an_answer_ends_where_a_stop_string_does(tiny_llama):
    model = AutoModelForCausalLM.from_pretrained(tiny_llama).eval()
    tokenizer = AutoTokenizer.from_pretrained(tiny_llama)
    free = answers(model, frozenset())[0].tokens
    text = tokenizer.decode(free)
    # Two characters that need not be one token's.
    string = text[len(text) // 2 : len(text) // 2 + 2]
    how = Decoding(
        ends=frozenset(), max_new_tokens=12, batch_tokens=512, packed=True,
        stop=Stops(tokenizer, [string]),
    )  # fmt: skip
    [found] = decode_all(model, PROMPTS, how)
    assert found[0].finished
    assert found[0].tokens == free[: len(found[0].tokens)]
    assert len(found[0].tokens) < 12
    shorter = tokenizer.decode(found[0].tokens[:-1])
    assert string in tokenizer.decode(found[0].tokens)
    assert string not in shorter
    assert before(text, [string, "never there"]) == text[: text.index(string)]
