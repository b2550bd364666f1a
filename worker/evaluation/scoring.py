"""Log-likelihoods of endings after a context: endings of one context share its forward pass.

A beginning that many contexts share (a template's opening) is read once for all. The output head
and the softmax run only where a token is scored. Models a tree mask does not fit get one row an
ending.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

from shared.errors import NotFinite
from worker.evaluation.batching import batches
from worker.evaluation.trees import Tree, layout, shared_beginnings, tree_mask

#: Logits turned to fp32 at once.
_CHUNK = 1 << 24
#: Hears which trees a batch finished and how many tokens it ran.
Done = Callable[[Sequence[int], int], None]


def score(
    model: Any,
    trees: Sequence[Tree],
    *,
    batch_tokens: int,
    packed: bool,
    done: Done = lambda places, tokens: None,
) -> list[list[float]]:
    """Natural-log likelihood of every ending of every tree, summed over its tokens.

    Without `packed`, each ending is a row of its own and nothing is shared. Softmax is fp32
    whatever the model's dtype, sums are fp64. Raises NotFinite where a likelihood is NaN or
    infinite.
    """
    if not packed:
        return _score_rows(model, trees, batch_tokens, done)
    out: list[list[float]] = [[] for _ in trees]
    for length, places in shared_beginnings(trees):
        past = None
        if length:
            past = read_beginning(model, trees[places[0]].context[:length])
            done([], length)
        rest = [Tree(trees[place].context[length:], trees[place].endings) for place in places]
        values = _score_trees(
            model, rest, batch_tokens, lambda inner, n, at=places: done([at[i] for i in inner], n),
            past,
        )  # fmt: skip
        for place, found in zip(places, values, strict=True):
            out[place] = found
    return out


def _score_trees(
    model: Any, trees: Sequence[Tree], batch_tokens: int, done: Done, past: "Beginning | None"
) -> list[list[float]]:
    """Trees in batches, after what they share; each batch's rows, shared part and all, fit into
    `batch_tokens`."""
    out: list[list[float]] = [[] for _ in trees]
    skipped = 0 if past is None else past.get_seq_length()
    for places in batches(
        [skipped + tree.length for tree in trees],
        most_tokens=batch_tokens,
        scored=[tree.scored for tree in trees],
        vocabulary=model.config.get_text_config().vocab_size,
    ):
        chosen = [trees[place] for place in places]
        values = iter(_likelihoods(model, chosen, past, skipped))
        for place in places:
            out[place] = [next(values) for _ in trees[place].endings]
        done(places, sum(tree.length for tree in chosen))
    return out


def _score_rows(
    model: Any, trees: Sequence[Tree], batch_tokens: int, done: Done
) -> list[list[float]]:
    """One row an ending; a tree counts as done with its last ending."""
    owners = [place for place, tree in enumerate(trees) for _ in tree.endings]
    rows = [Tree(tree.context, [ending]) for tree in trees for ending in tree.endings]
    missing = [len(tree.endings) for tree in trees]

    def tell(places: Sequence[int], tokens: int) -> None:
        finished = []
        for owner in (owners[place] for place in places):
            missing[owner] -= 1
            if not missing[owner]:
                finished.append(owner)
        done(finished, tokens)

    out: list[list[float]] = [[] for _ in trees]
    values = _score_trees(model, rows, batch_tokens, tell, None)
    for owner, [value] in zip(owners, values, strict=True):
        out[owner].append(value)
    return out


def _likelihoods(
    model: Any, trees: Sequence[Tree], past: "Beginning | None", skipped: int
) -> list[float]:
    """One batch: the sums of all endings, tree after tree."""
    device = model.device
    batch = layout(trees, skipped)
    inputs: dict[str, Any] = {"input_ids": batch.tokens.to(device)}
    if past is not None or any(tree.branches for tree in trees):
        inputs["position_ids"] = batch.positions.to(device)
        inputs["attention_mask"] = tree_mask(batch.segments.to(device), model.dtype, skipped)
        inputs["past_key_values"] = past
    with head_at(model, batch.rows.to(device), batch.columns.to(device)):
        logits = model(**inputs, use_cache=False).logits[0]
    each = _log_probabilities(logits, batch.targets.to(device))
    sums = torch.zeros(batch.endings, dtype=torch.float64, device=device)
    sums.index_add_(0, batch.owners.to(device), each.double())
    if not bool(torch.isfinite(sums).all()):
        raise NotFinite(what="A log-likelihood", where="scoring")
    return sums.tolist()


class Beginning(DynamicCache):
    """Keys and values of tokens that every row begins with; it never grows, and is copied to no
    row before attention needs it there."""

    def update(
        self, key_states: Tensor, value_states: Tensor, layer_idx: int, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Keys and values of (rows, heads, beginning + new, width), for one forward only."""
        layer: Any = self.layers[layer_idx]
        pairs = ((layer.keys, key_states), (layer.values, value_states))
        keys, values = (torch.cat([old.expand(len(new), -1, -1, -1), new], 2) for old, new in pairs)
        return keys, values


def read_beginning(model: Any, ids: list[int]) -> Beginning:
    """Run the tokens once; what later tokens need of them."""
    rows = torch.tensor([ids], device=model.device)
    last = torch.zeros(1, dtype=torch.long, device=model.device)
    with head_at(model, last, last - 1):
        made = model(input_ids=rows, past_key_values=DynamicCache(), use_cache=True)
    past = Beginning()
    past.layers = made.past_key_values.layers
    return past


@contextmanager
def head_at(model: Any, rows: Tensor, columns: Tensor) -> Iterator[None]:
    """Within it, the model's logits have shape (1, positions, vocabulary): those positions only.

    The head is fed less; what the model does to its logits afterwards (scaling, soft caps) stays.
    """

    def keep(_: Any, given: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return given[0][rows, columns][None], *given[1:]

    hook = model.get_output_embeddings().register_forward_pre_hook(keep)
    try:
        yield
    finally:
        hook.remove()


def _log_probabilities(logits: Tensor, targets: Tensor) -> Tensor:
    """fp32 log-softmax of `logits` (positions, vocabulary) at `targets` (positions,)."""
    step = max(1, _CHUNK // logits.shape[1])
    parts = []
    for start in range(0, len(targets), step):
        chunk = logits[start : start + step].float()
        wanted = chunk.gather(1, targets[start : start + step, None])[:, 0]
        parts.append(wanted - chunk.logsumexp(1))
    return torch.cat(parts)


def packing_fits(model: Any) -> bool:
    """Whether a tree mask and a shared beginning give this model the scores of plain rows.

    Sliding windows and kernels without masks are known misfits; others are tried on four trees.
    """
    config = model.config.get_text_config()
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
    known = config._attn_implementation in ("sdpa", "eager")
    if not known or kinds != {"full_attention"} or getattr(config, "sliding_window", None):
        return False
    ids = [(7919 * (place + 1)) % config.vocab_size for place in range(96)]
    trees = [
        Tree(ids[:12] + ids[n : n + 4], [ids[n + 4 : n + 12], ids[n + 12 : n + 20]])
        for n in (12, 32, 52, 72)
    ]
    rows = score(model, trees, batch_tokens=1024, packed=False)
    try:
        together = score(model, trees, batch_tokens=1024, packed=True)
    except (TypeError, ValueError):
        return False
    # Rounding moves a token by 1e-6 in fp32 and by some 0.02 in bf16; another mask, by nats.
    allowed = 8 * (1e-4 if model.dtype == torch.float32 else 0.1)
    pairs = zip(chain(*rows), chain(*together), strict=True)
    return max(abs(one - other) for one, other in pairs) <= allowed
