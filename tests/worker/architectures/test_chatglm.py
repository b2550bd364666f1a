"""ChatGLM-6B as defined: weights' names, who sees whom, where tokens stand, what is generated."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, DynamicCache

from shared.errors import BadBase
from shared.orders import BaseFiles
from tiny_chatglm import IDS, SIZES, config_of, make_chatglm, weights_of
from worker.architectures.chatglm import ChatGLMConfig, ChatGLMForConditionalGeneration
from worker.architectures.chatglm.places import order_of, places_of
from worker.checkpoints import (
    attach_adapter,
    linear_targets,
    load_base,
    probe_logits,
    write_adapter,
)
from worker.evaluation.decoding import decode
from worker.evaluation.scoring import packing_fits, score
from worker.evaluation.trees import Tree
from worker.training.adapted import Adapted
from worker.training.adapter import fresh_adapter
from worker.training.prefix import Prefixed

GMASK, MASK, SOP, EOP = (IDS[name] for name in ("[gMASK]", "[MASK]", "<sop>", "<eop>"))
A, B, C = IDS["a"], IDS["b"], IDS["c"]
PROMPT = [5, 6, 7, 8, GMASK, SOP]
ROW = [*PROMPT, A, B, C]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_chatglm(tmp_path_factory.mktemp("chatglm") / "base")


@pytest.fixture(scope="module")
def model(folder: Path) -> Any:
    return load_base(files(folder), "cpu", "fp32")[0]


def files(folder: Path) -> BaseFiles:
    return BaseFiles(name="chatglm", location=str(folder), fingerprint="")


def logits(model: Any, *rows: list[int], **inputs: Any) -> torch.Tensor:
    with torch.no_grad():
        return model(input_ids=torch.tensor(rows), **inputs).logits


def by_hand(weights: dict[str, torch.Tensor], ids: list[int]) -> torch.Tensor:
    """Logits of one row, by the paper's equations: one head, one pair of numbers at a time."""
    wide, heads, layers = SIZES["hidden_size"], SIZES["num_attention_heads"], SIZES["num_layers"]
    head = wide // heads
    end = ids.index(SOP)
    first = [place if place < end else ids.index(GMASK) for place in range(len(ids))]
    second = [max(0, place - end + 1) for place in range(len(ids))]

    def normed(x: torch.Tensor, name: str) -> torch.Tensor:
        centred = x - x.mean(-1, keepdim=True)
        spread = (centred.square().mean(-1, keepdim=True) + SIZES["layernorm_epsilon"]).sqrt()
        return centred / spread * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    def linear(x: torch.Tensor, name: str) -> torch.Tensor:
        return torch.einsum("ti,oi->to", x, weights[f"{name}.weight"]) + weights[f"{name}.bias"]

    def turned(x: torch.Tensor) -> torch.Tensor:
        out = x.clone()
        pairs = head // 4
        for half, positions in enumerate((first, second)):
            for pair in range(pairs):
                low = half * head // 2 + pair
                high = low + pairs
                turn = float(torch.tensor(10_000.0 ** (-pair / pairs)).half())
                for place, position in enumerate(positions):
                    cos, sin = math.cos(position * turn), math.sin(position * turn)
                    one, other = x[place, low], x[place, high]
                    out[place, low] = one * cos - other * sin
                    out[place, high] = other * cos + one * sin
        return out

    seen = torch.tensor([[k <= q or k < end for k in range(len(ids))] for q in range(len(ids))])
    x = weights["transformer.word_embeddings.weight"][ids]
    for layer in range(layers):
        at = f"transformer.layers.{layer}"
        normal = normed(x, f"{at}.input_layernorm")
        mixed = linear(normal, f"{at}.attention.query_key_value").view(len(ids), heads, 3 * head)
        outs = []
        for number in range(heads):
            query, key, value = mixed[:, number].split(head, -1)
            scores = torch.einsum("qd,kd->qk", turned(query), turned(key)) / math.sqrt(head)
            outs.append(scores.masked_fill(~seen, -math.inf).softmax(-1) @ value)
        # sqrt(2 · 28), whatever the number of layers, as in the original code.
        x = normal * math.sqrt(56) + linear(torch.cat(outs, -1), f"{at}.attention.dense")
        normal = normed(x, f"{at}.post_attention_layernorm")
        inner = linear(normal, f"{at}.mlp.dense_h_to_4h")
        cubic = math.sqrt(2 / math.pi) * (inner + 0.044715 * inner**3)
        inner = 0.5 * inner * (1 + torch.tanh(cubic))
        x = normal * math.sqrt(56) + linear(inner, f"{at}.mlp.dense_4h_to_h")
    return normed(x, "transformer.final_layernorm") @ weights["lm_head.weight"].T


def test_weights_under_the_original_names_give_what_the_equations_give(model: Any) -> None:
    expected = by_hand(weights_of(config_of()), ROW)
    torch.testing.assert_close(logits(model, ROW)[0], expected, rtol=1e-4, atol=1e-4)


def test_the_checkpoint_and_the_model_have_the_same_names(model: Any, folder: Path) -> None:
    names = {name for path in folder.glob("*.safetensors") for name in load_file(path)}
    computed = {name for name in names if name.endswith("rotary_emb.inv_freq")}
    assert len(computed) == SIZES["num_layers"]
    assert set(model.state_dict()) == names - computed


def test_a_prompts_tokens_see_later_ones_and_an_answers_do_not(model: Any) -> None:
    before = logits(model, ROW)[0]
    changed = logits(model, [5, 6, 7, 9, *ROW[4:]])[0]
    assert bool(((changed - before).abs().amax(-1) > 1e-4).all())
    changed = logits(model, [*ROW[:7], C, *ROW[8:]])[0]
    moved = (changed - before).abs().amax(-1)
    assert float(moved[:7].max()) == 0
    assert bool((moved[7:] > 1e-4).all())


def test_positions_count_the_prompt_then_stay_and_the_second_count_the_answer() -> None:
    config = ChatGLMConfig(**config_of())
    ids = torch.tensor([ROW, [5, MASK, 6, SOP, A, B, C, C, C]])
    places = places_of(ids, order_of(ids, 0, None), config)
    assert places.positions.tolist() == [
        [[0, 1, 2, 3, 4, 4, 4, 4, 4], [0, 0, 0, 0, 0, 1, 2, 3, 4]],
        [[0, 1, 2, 1, 1, 1, 1, 1, 1], [0, 0, 0, 1, 2, 3, 4, 5, 6]],
    ]


def test_without_an_end_of_its_prompt_a_row_is_read_causally(model: Any) -> None:
    before, changed = logits(model, [5, 6, 7, 8, A])[0], logits(model, [5, 6, 7, 9, A])[0]
    assert float((changed - before)[:3].abs().max()) == 0


def test_a_row_of_several_sequences_gives_each_what_it_gives_alone(model: Any) -> None:
    other = [9, 10, GMASK, SOP, C, C, B]
    order = torch.tensor([[*range(len(ROW)), *range(len(other))]])
    both = logits(model, ROW + other, position_ids=order)[0]
    torch.testing.assert_close(both[: len(ROW)], logits(model, ROW)[0])
    torch.testing.assert_close(both[len(ROW) :], logits(model, other)[0])


def test_generation_with_a_cache_equals_generation_without_and_stays_so_when_padded(
    model: Any,
) -> None:
    short = [9, 10, GMASK, SOP]
    alone = [greedily(model, PROMPT, 8), greedily(model, short, 8)]
    assert alone[0] != alone[1]
    ids = torch.tensor([PROMPT, [3, 3, *short]])
    seen = torch.tensor([[1] * 6, [0, 0, 1, 1, 1, 1]])
    for cached in (True, False):
        made = model.generate(
            ids, attention_mask=seen, max_new_tokens=8, do_sample=False, use_cache=cached,
            eos_token_id=None, pad_token_id=3,
        )  # fmt: skip
        assert made[:, 6:].tolist() == alone
    answers = decode(model, [PROMPT, short], ends=frozenset(), max_new_tokens=8, batch_tokens=1024)
    assert [answer.tokens for answer in answers] == alone


def greedily(model: Any, prompt: list[int], count: int) -> list[int]:
    ids = list(prompt)
    for _ in range(count):
        ids.append(int(logits(model, ids)[0, -1].argmax()))
    return ids[len(prompt) :]


def test_a_row_that_ends_early_leaves_the_others_answers_as_they_are(model: Any) -> None:
    short = [9, 10, GMASK, SOP]
    end = greedily(model, PROMPT, 1)[0]
    expected = greedily(model, short, 8)
    answers = decode(
        model, [PROMPT, short], ends=frozenset([end]), max_new_tokens=8, batch_tokens=1024
    )
    assert (answers[0].tokens, answers[0].finished) == ([], True)
    until = expected.index(end) if end in expected else 8
    assert answers[1].tokens == expected[:until]


def test_padding_at_the_left_changes_no_logit(model: Any) -> None:
    seen = torch.tensor([[0, 0, 0, *[1] * len(ROW)]])
    padded = logits(model, [3, 3, 3, *ROW], attention_mask=seen)[0, 3:]
    torch.testing.assert_close(padded, logits(model, ROW)[0], rtol=1e-5, atol=1e-5)


def test_bf16_is_the_same_model_but_for_rounding(model: Any, folder: Path) -> None:
    half, _ = load_base(files(folder), "cpu", "bf16")
    exact, rounded = logits(model, ROW)[0], logits(half, ROW)[0].float()
    assert half.dtype == torch.bfloat16
    assert float((rounded - exact).norm() / exact.norm()) < 0.05


def test_choices_are_scored_row_by_row_since_a_packed_mask_does_not_fit(model: Any) -> None:
    assert not packing_fits(model)
    endings = [[A, B, EOP], [C, EOP]]
    [found] = score(model, [Tree(PROMPT, endings)], batch_tokens=64, packed=False)
    for value, ending in zip(found, endings, strict=True):
        rows = logits(model, PROMPT + ending)[0].log_softmax(-1)
        wanted = sum(float(rows[5 + place, token]) for place, token in enumerate(ending))
        assert value == pytest.approx(wanted, abs=1e-4)


class _Lora:
    rank, alpha, dropout, seed = 2, 4.0, 0.0, 0
    target_modules = ("query_key_value",)


def test_lora_on_query_key_value_trains_and_reloads_with_equal_logits(
    folder: Path, tmp_path: Path
) -> None:
    base, _ = load_base(files(folder), "cpu", "fp32")
    assert linear_targets(base) == ["dense", "dense_4h_to_h", "dense_h_to_4h", "query_key_value"]
    parameters: Any = _Lora()
    adapted = fresh_adapter(base, parameters, "chatglm")
    weights = [part for part in adapted.parameters() if part.requires_grad]
    optimiser = torch.optim.Adam(weights, 0.02)
    ids = torch.tensor([[*ROW, EOP]])
    labels = torch.where(torch.arange(10) > 5, ids, -100)
    losses = []
    for _ in range(5):
        loss = adapted(input_ids=ids, labels=labels).loss
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
        losses.append(loss.item())
    assert losses == sorted(losses, reverse=True)
    trained = probe_logits(adapted)
    assert isinstance(adapted, Adapted)
    write_adapter(tmp_path / "adapter", adapted.config, adapted.state(), "chatglm")
    again = attach_adapter(load_base(files(folder), "cpu", "fp32")[0], tmp_path / "adapter")
    torch.testing.assert_close(probe_logits(again), trained, rtol=1e-5, atol=1e-5)


def test_a_saved_model_loads_again(model: Any, tmp_path: Path) -> None:
    model.save_pretrained(tmp_path)
    again = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert isinstance(again, ChatGLMForConditionalGeneration)
    assert torch.equal(logits(again, ROW), logits(model, ROW))


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"multi_query_attention": True, "ffn_hidden_size": 64}, "ChatGLM2 or ChatGLM3"),
        ({"quantization_bit": 4}, "packed to 4 bits"),
        ({"pre_seq_len": 128}, "pre_seq_len"),
    ],
)
def test_what_only_shares_the_model_type_is_refused_with_the_way_out(
    tmp_path: Path, more: dict[str, Any], reason: str
) -> None:
    with pytest.raises(BadBase, match=reason):
        load_base(files(make_chatglm(tmp_path, **more)), "cpu", "fp32")


def test_a_checkpoint_that_lacks_a_weight_is_refused(tmp_path: Path) -> None:
    make_chatglm(tmp_path)
    config = tmp_path / "config.json"
    config.write_text(config.read_text().replace('"num_layers": 2', '"num_layers": 3'))
    with pytest.raises(BadBase, match=r"layers\.2"):
        load_base(files(tmp_path), "cpu", "fp32")


def test_a_trained_prefix_is_seen_by_all_and_moves_no_position(model: Any) -> None:
    prefix = Prefixed(model, 3, seed=0)
    with torch.no_grad():
        prefix.embeddings.normal_()
    keys = prefix.prefix
    assert keys is not None
    cache = DynamicCache()
    for layer in range(SIZES["num_layers"]):
        cache.update(keys(layer)[0][None].detach(), keys(layer)[1][None].detach(), layer)
    with torch.no_grad():
        ours = prefix(torch.tensor([ROW])).logits
        cached = model(input_ids=torch.tensor([ROW[:-1]]), past_key_values=cache)
        last = model(input_ids=torch.tensor([ROW[-1:]]), past_key_values=cached.past_key_values)
    assert float((ours - logits(model, ROW)).abs().max()) > 0.1
    whole = torch.cat([cached.logits, last.logits], 1)
    torch.testing.assert_close(whole, ours, rtol=1e-4, atol=1e-4)
    # Farther positions would turn every key.
    moved = logits(model, ROW, position_ids=torch.arange(3, 3 + len(ROW))[None])
    torch.testing.assert_close(moved, logits(model, ROW))
