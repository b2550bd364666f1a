"""Log-likelihoods of endings after a context: endings of one context share its forward pass.

A beginning that many contexts share (a template's opening) is read once for all. The output head
and the softmax run only where a token is scored. Models a tree mask does not fit get one row an
ending.
"""

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any

import torch
from peft import PeftModel
from torch import Tensor
from transformers import DynamicCache

from shared.errors import NotFinite
from worker.evaluation.batching import batches
from worker.evaluation.caches import Beginning
from worker.evaluation.preceded import Preceded, beginning_of
from worker.evaluation.trees import Tree, layout, shared_beginnings, tree_mask
from worker.kernels import for_any_length
from worker.stacked import Stack

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
    return score_all(model, trees, batch_tokens=batch_tokens, packed=packed, done=done)[0]


def score_all(
    model: Any,
    trees: Sequence[Tree],
    *,
    batch_tokens: int,
    packed: bool,
    stack: Stack | None = None,
    done: Done = lambda places, tokens: None,
) -> list[list[list[float]]]:
    """What `score` gives for each adapter of a stack; of a model without one, its own alone.

    `done` hears of a tree once for each adapter.
    """
    scorer = _Scorer(model, batch_tokens, stack)
    if not packed:
        return scorer.rows(trees, done)
    out: list[list[list[float]]] = [[[]] * len(trees) for _ in range(scorer.arms)]
    for length, places in shared_beginnings([tree.context for tree in trees]):
        past = beginning_of(model)
        if length:
            past = read_beginning(model, trees[places[0]].context[:length], stack)
            done([], scorer.arms * length)
        rest = [Tree(trees[place].context[length:], trees[place].endings) for place in places]
        values = scorer.trees(
            rest, lambda inner, n, at=places: done([at[i] for i in inner], n), past
        )
        for arm, found in zip(out, values, strict=True):
            for place, each in zip(places, found, strict=True):
                arm[place] = each
    return out


class _Scorer:
    """A model, the adapters that answer together, and how much runs at once."""

    def __init__(self, model: Any, batch_tokens: int, stack: Stack | None) -> None:
        self._model, self._stack = model, stack
        self.arms = stack.count if stack else 1
        self._most = max(1, batch_tokens // self.arms)

    def trees(
        self, trees: Sequence[Tree], done: Done, past: Beginning | None
    ) -> list[list[list[float]]]:
        """Trees in batches, after what they share; each batch's rows, shared part and all, fit
        into `batch_tokens`."""
        out: list[list[list[float]]] = [[[]] * len(trees) for _ in range(self.arms)]
        skipped = 0 if past is None else past.get_seq_length()
        for places in batches(
            [skipped + tree.length for tree in trees],
            most_tokens=self._most,
            scored=[self.arms * tree.scored for tree in trees],
            vocabulary=self._model.config.get_text_config().vocab_size,
        ):
            chosen = [trees[place] for place in places]
            values = iter(self._likelihoods(chosen, past, skipped))
            for arm in out:
                for place in places:
                    arm[place] = [next(values) for _ in trees[place].endings]
            done(places * self.arms, self.arms * sum(tree.length for tree in chosen))
        return out

    def rows(self, trees: Sequence[Tree], done: Done) -> list[list[list[float]]]:
        """One row an ending; a tree counts as done with its last ending."""
        owners = [place for place, tree in enumerate(trees) for _ in tree.endings]
        rows = [Tree(tree.context, [ending]) for tree in trees for ending in tree.endings]
        missing = [self.arms * len(tree.endings) for tree in trees]

        def tell(places: Sequence[int], tokens: int) -> None:
            finished = []
            for owner in (owners[place] for place in places):
                missing[owner] -= 1
                if not missing[owner]:
                    finished += [owner] * self.arms
            done(finished, tokens)

        out: list[list[list[float]]] = [[[] for _ in trees] for _ in range(self.arms)]
        for arm, values in zip(out, self.trees(rows, tell, None), strict=True):
            for owner, [value] in zip(owners, values, strict=True):
                arm[owner].append(value)
        return out

    def _likelihoods(
        self, trees: Sequence[Tree], past: Beginning | None, skipped: int
    ) -> list[float]:
        """One batch: the sums of all endings, adapter after adapter, tree after tree."""
        device, arms = self._model.device, self.arms
        if self._stack:
            self._stack.blocks()
        batch = layout(trees, skipped).repeated(arms)
        inputs: dict[str, Any] = {"input_ids": batch.tokens.to(device)}
        if past is not None or any(tree.branches for tree in trees):
            inputs["position_ids"] = batch.positions.to(device)
            mask = tree_mask(batch.segments.to(device), self._model.dtype, skipped)
            inputs["attention_mask"] = mask
            inputs["past_key_values"] = past
        where = head_at(self._model, batch.rows.to(device), batch.columns.to(device))
        with where, for_any_length():
            logits = self._model(**inputs, use_cache=False).logits[0]
        each = _log_probabilities(logits, batch.targets.to(device))
        sums = torch.zeros(batch.endings, dtype=torch.float64, device=device)
        sums.index_add_(0, batch.owners.to(device), each.double())
        if not bool(torch.isfinite(sums).all()):
            raise NotFinite(what="A log-likelihood", where="scoring")
        return sums.tolist()


def read_beginning(model: Any, ids: list[int], stack: Stack | None = None) -> Beginning:
    """Run the tokens once for each adapter of the stack; what later tokens need of them."""
    if stack:
        stack.blocks()
    rows = torch.tensor([ids], device=model.device).repeat(stack.count if stack else 1, 1)
    cache = model.cache(len(rows)) if isinstance(model, Preceded) else DynamicCache()
    last = torch.zeros(1, dtype=torch.long, device=model.device)
    with head_at(model, last, last - 1), for_any_length():
        made = model(input_ids=rows, past_key_values=cache, use_cache=True)
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

    Sliding windows, recurrences and kernels without masks are known misfits; others are tried on
    four trees.
    """
    config = model.config.get_text_config()
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
    known = config._attn_implementation in ("sdpa", "eager")
    # PEFT's own forward hides what the base's takes.
    bare = model.get_base_model() if isinstance(model, PeftModel) else model
    known = known and "past_key_values" in inspect.signature(bare.forward).parameters
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
