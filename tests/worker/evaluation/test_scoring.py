"""Packed scores equal plain ones, whatever the batch, the model family and the masks it takes."""

import math

import pytest
import torch
from transformers import AutoModelForCausalLM

from shared.errors import NotFinite
from worker.evaluation.batching import batches
from worker.evaluation.scoring import packing_fits, score
from worker.evaluation.trees import Tree, shared_beginnings


@pytest.fixture(scope="module", params=["tiny_llama", "tiny_glm"])
def model(request):
    return AutoModelForCausalLM.from_pretrained(request.getfixturevalue(request.param)).eval()


def trees() -> list[Tree]:
    """Contexts of many lengths; one to four endings of one to six tokens."""
    generator = torch.Generator().manual_seed(0)

    def ids(count: int) -> list[int]:
        return torch.randint(4, 300, (count,), generator=generator).tolist()

    return [
        Tree(ids(3 + 5 * place), [ids(1 + (place + number) % 6) for number in range(1 + place % 4)])
        for place in range(9)
    ]


def plain(model, tree: Tree, ending: list[int]) -> float:
    """The same by transformers alone: one row, all logits, no padding."""
    ids = torch.tensor([tree.context + ending])
    with torch.inference_mode():
        logs = model(input_ids=ids).logits[0].double().log_softmax(-1)
    first = len(tree.context)
    return sum(logs[first + n - 1, token].item() for n, token in enumerate(ending))


def scored(model, of: list[Tree], **how) -> list[list[float]]:
    with torch.inference_mode():
        return score(model, of, **({"batch_tokens": 256, "packed": True} | how))


@pytest.mark.parametrize("packed", [True, False])
def test_scores_equal_a_plain_forward_of_each_choice(model, packed):
    found = scored(model, trees(), packed=packed)
    for tree, values in zip(trees(), found, strict=True):
        expected = [plain(model, tree, ending) for ending in tree.endings]
        assert values == pytest.approx(expected, abs=1e-4)


def test_packed_scores_equal_one_row_a_choice(model):
    packed = scored(model, trees(), batch_tokens=10_000)
    rows = scored(model, trees(), packed=False)
    for together, apart in zip(packed, rows, strict=True):
        assert together == pytest.approx(apart, abs=1e-4)


def test_batch_size_changes_no_score(model):
    small, large = (scored(model, trees(), batch_tokens=size) for size in (1, 10_000))
    for one, other in zip(small, large, strict=True):
        assert one == pytest.approx(other, abs=1e-4)


def test_every_tree_is_reported_done_once_however_it_was_run(model):
    for packed in (True, False):
        finished: list[int] = []
        tokens: list[int] = []

        def done(places, count, finished=finished, tokens=tokens):
            finished.extend(places)
            tokens.append(count)

        scored(model, trees(), packed=packed, done=done)
        assert sorted(finished) == list(range(9))
        assert sum(tokens) == sum(
            tree.length if packed else sum(len(tree.context) + len(e) - 1 for e in tree.endings)
            for tree in trees()
        )


def test_packing_reads_the_context_once_and_the_head_runs_only_where_scored(model):
    tree = Tree(list(range(10, 50)), [[5, 6], [7, 8], [9, 10]])
    rows: list[int] = []
    hook = model.get_output_embeddings().register_forward_hook(
        lambda _, given, made: rows.append(made.shape[:-1].numel())
    )
    tokens: list[int] = []
    scored(model, [tree], done=lambda places, count: tokens.append(count))
    hook.remove()
    assert rows == [6]
    assert tokens == [43]


def beginnings() -> list[Tree]:
    """Two groups with a beginning of their own, and trees that share none."""
    first, second = list(range(20, 40)), list(range(60, 72))
    one = [
        Tree([*first, 100 + n, 110 + n][: 22 - n % 2], [[5 + n, 6], [7, 8, 9]]) for n in range(5)
    ]
    two = [Tree([*second, 120 + n], [[15, 16 + n], [17]]) for n in range(4)]
    return [*one[:2], *trees(), *two, *one[2:]]


def test_a_beginning_that_rows_share_is_read_once_and_changes_no_score(model):
    tokens: list[int] = []
    finished: list[int] = []

    def done(places, count):
        finished.extend(places)
        tokens.append(count)

    found = scored(model, beginnings(), done=done)
    for tree, values in zip(beginnings(), found, strict=True):
        expected = [plain(model, tree, ending) for ending in tree.endings]
        assert values == pytest.approx(expected, abs=1e-4)
    assert sorted(finished) == list(range(18))
    repeated = 4 * 20 + 3 * 12
    assert sum(tokens) == sum(tree.length for tree in beginnings()) - repeated


def test_trees_are_grouped_by_beginnings_long_and_common_enough():
    def groups(*contexts: list[int]) -> list[tuple[int, list[int]]]:
        return shared_beginnings(contexts)

    same = list(range(30))
    assert groups(same, same, same, same) == [(29, [0, 1, 2, 3])]
    assert groups(same, same, [9], same, [*same[:9], 5]) == [(9, [0, 1, 3, 4]), (0, [2])]
    assert groups(same, same, same) == [(0, [0, 1, 2])]
    assert groups(*[same[:8]] * 4) == [(0, [0, 1, 2, 3])]
    assert groups() == []


def test_tiny_models_take_the_tree_mask_and_misfits_are_known(model, monkeypatch):
    with torch.inference_mode():
        assert packing_fits(model)
        for name, value in [
            ("_attn_implementation_internal", "flash_attention_2"),
            ("sliding_window", 128),
            ("layer_types", ["full_attention", "linear_attention"]),
        ]:
            with monkeypatch.context() as patch:
                patch.setattr(model.config, name, value, raising=False)
                assert not packing_fits(model)


def test_a_model_that_ignores_the_mask_is_found_out(model, monkeypatch):
    forward = model.forward

    def blind(**inputs):
        inputs.pop("attention_mask", None)
        return forward(**inputs)

    monkeypatch.setattr(model, "forward", blind)
    with torch.inference_mode():
        assert not packing_fits(model)


def test_bf16_scores_are_summed_and_normalised_in_fp32(tiny_llama):
    model = AutoModelForCausalLM.from_pretrained(tiny_llama, dtype=torch.bfloat16).eval()
    exact = AutoModelForCausalLM.from_pretrained(tiny_llama).eval()
    found = [value for values in scored(model, trees()) for value in values]
    wanted = [value for values in scored(exact, trees()) for value in values]
    errors = [abs(one - other) for one, other in zip(found, wanted, strict=True)]
    assert max(errors) < 0.2
    # A sum kept in bf16 would be a multiple of 1/16 beyond 8 nats.
    assert any(not (value * 16).is_integer() for value in found if value < -8)
    with torch.inference_mode():
        assert packing_fits(model)


def test_a_model_that_yields_nan_is_an_error_not_a_score(tiny_llama):
    model = AutoModelForCausalLM.from_pretrained(tiny_llama).eval()
    with torch.no_grad():
        model.model.norm.weight[0] = math.nan
    with pytest.raises(NotFinite):
        scored(model, trees())


def test_batches_hold_like_lengths_within_both_limits(monkeypatch):
    lengths = [5, 50, 7, 48, 6, 200]
    assert list(batches(lengths, most_tokens=100)) == [[5], [1, 3], [2, 4, 0]]
    monkeypatch.setattr("worker.evaluation.batching.MOST_LOGITS", 100)
    found = list(batches([3, 3, 3, 3], most_tokens=999, scored=[2, 2, 2, 9], vocabulary=25))
    assert found == [[0, 1], [2], [3]]
    assert list(batches([], most_tokens=10)) == []
