"""Log-likelihoods of endings after a context: endings of one context share its forward pass.

A row is `context | ending 1 | ending 2 | ...`: each ending sees the context and itself, at the
positions it would have alone (a tree mask). The output head and the softmax run only where a
token is scored. Models such a mask does not fit get one row an ending.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from shared.errors import NotFinite
from worker.evaluation.batching import batches

#: Logits turned to fp32 at once.
_CHUNK = 1 << 24
#: Segment numbers of a packed row: padding, the context, then the endings from 1.
_PAD, _CONTEXT = -1, 0


@dataclass(frozen=True)
class Tree:
    """Token ids of a context (at least one) and of the endings scored after it (never empty)."""

    context: list[int]
    endings: list[list[int]]

    @property
    def length(self) -> int:
        """Tokens of its row: an ending's last token is predicted, never read."""
        return len(self.context) + sum(len(ending) - 1 for ending in self.endings)

    @property
    def scored(self) -> int:
        """Tokens whose probability is asked."""
        return sum(len(ending) for ending in self.endings)

    @property
    def branches(self) -> bool:
        """True where two endings must not see each other."""
        return sum(len(ending) > 1 for ending in self.endings) > 1


def score(
    model: Any,
    trees: Sequence[Tree],
    *,
    batch_tokens: int,
    packed: bool,
    done: Callable[[Sequence[int], int], None] = lambda places, tokens: None,
) -> list[list[float]]:
    """Natural-log likelihood of every ending of every tree, summed over its tokens.

    `done` hears which trees a batch held and how many tokens it ran. Softmax is fp32 whatever
    the model's dtype, sums are fp64. Raises NotFinite where a likelihood is NaN or infinite.
    """
    if not packed:
        return _score_rows(model, trees, batch_tokens, done)
    out: list[list[float]] = [[] for _ in trees]
    for places in batches(
        [tree.length for tree in trees],
        most_tokens=batch_tokens,
        scored=[tree.scored for tree in trees],
        vocabulary=model.config.get_text_config().vocab_size,
    ):
        chosen = [trees[place] for place in places]
        values = iter(_likelihoods(model, chosen))
        for place in places:
            out[place] = [next(values) for _ in trees[place].endings]
        done(places, sum(tree.length for tree in chosen))
    return out


def _score_rows(
    model: Any,
    trees: Sequence[Tree],
    batch_tokens: int,
    done: Callable[[Sequence[int], int], None],
) -> list[list[float]]:
    """The same with one row an ending; a tree counts as done with its last ending."""
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
    values = score(model, rows, batch_tokens=batch_tokens, packed=True, done=tell)
    for owner, [value] in zip(owners, values, strict=True):
        out[owner].append(value)
    return out


def _likelihoods(model: Any, trees: Sequence[Tree]) -> list[float]:
    """One batch: the sums of all endings, tree after tree."""
    device = model.device
    batch = _layout(trees)
    inputs: dict[str, Any] = {"input_ids": batch.tokens.to(device)}
    if any(tree.branches for tree in trees):
        inputs["position_ids"] = batch.positions.to(device)
        inputs["attention_mask"] = tree_mask(batch.segments.to(device), model.dtype)
    with head_at(model, batch.rows.to(device), batch.columns.to(device)):
        logits = model(**inputs, use_cache=False).logits[0]
    each = _log_probabilities(logits, batch.targets.to(device))
    sums = torch.zeros(batch.endings, dtype=torch.float64, device=device)
    sums.index_add_(0, batch.owners.to(device), each.double())
    if not bool(torch.isfinite(sums).all()):
        raise NotFinite(what="A log-likelihood", where="scoring")
    return sums.tolist()


@dataclass(frozen=True)
class _Batch:
    """Right-padded rows of shape (trees, longest), and where each scored token is predicted."""

    tokens: Tensor
    positions: Tensor
    segments: Tensor
    #: Of each scored token: the row and column whose logits predict it, its id, its ending.
    rows: Tensor
    columns: Tensor
    targets: Tensor
    owners: Tensor
    endings: int


def _layout(trees: Sequence[Tree]) -> _Batch:
    width = max(tree.length for tree in trees)
    shape = (len(trees), width)
    tokens, positions = torch.zeros(shape, dtype=torch.long), torch.zeros(shape, dtype=torch.long)
    segments = torch.full(shape, _PAD)
    rows, columns, targets, owners = [], [], [], []
    endings = 0
    for row, tree in enumerate(trees):
        start = len(tree.context)
        line, places, parts = list(tree.context), list(range(start)), [_CONTEXT] * start
        for number, ending in enumerate(tree.endings, start=1):
            read = len(ending) - 1
            columns += [start - 1, *range(len(line), len(line) + read)]
            rows += [row] * len(ending)
            targets += ending
            owners += [endings] * len(ending)
            endings += 1
            line += ending[:-1]
            places += range(start, start + read)
            parts += [number] * read
        tokens[row, : len(line)] = torch.tensor(line)
        positions[row, : len(line)] = torch.tensor(places)
        segments[row, : len(line)] = torch.tensor(parts)
    return _Batch(
        tokens, positions, segments, torch.tensor(rows), torch.tensor(columns),
        torch.tensor(targets), torch.tensor(owners), endings,
    )  # fmt: skip


def tree_mask(segments: Tensor, dtype: torch.dtype) -> Tensor:
    """Additive attention mask (rows, 1, length, length): the past of one's own segment, and the
    context."""
    length = segments.shape[1]
    causal = torch.ones(length, length, dtype=torch.bool, device=segments.device).tril()
    asking, asked = segments[:, :, None], segments[:, None, :]
    seen = causal & ((asking == asked) | (asked == _CONTEXT))
    mask = torch.zeros(seen.shape, dtype=dtype, device=segments.device)
    return mask.masked_fill_(~seen, torch.finfo(dtype).min)[:, None]


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
    """Whether the tree mask gives this model the scores that one row an ending gives.

    Sliding windows and kernels without masks are known misfits; others are tried on one tree.
    """
    config = model.config.get_text_config()
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
    known = config._attn_implementation in ("sdpa", "eager")
    if not known or kinds != {"full_attention"} or getattr(config, "sliding_window", None):
        return False
    spread = [(7919 * (place + 1)) % config.vocab_size for place in range(40)]
    tree = Tree(spread[:16], [spread[16:24], spread[24:32], spread[32:40]])
    rows = score(model, [tree], batch_tokens=1024, packed=False)[0]
    try:
        together = score(model, [tree], batch_tokens=1024, packed=True)[0]
    except (TypeError, ValueError):
        return False
    # Rounding moves a token by 1e-6 in fp32 and by some 0.02 in bf16; another mask, by nats.
    allowed = 8 * (1e-4 if model.dtype == torch.float32 else 0.1)
    return max(abs(a - b) for a, b in zip(rows, together, strict=True)) <= allowed
