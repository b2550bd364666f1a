"""PiSSA's start (Meng et al. 2024, arXiv 2404.02948): the principal directions of each weight."""

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from worker.training.adapted import Adapted

#: Up to this width all singular values are computed; above it, the first few by iteration.
_EXACT = 1024
#: Further directions and rounds of the iteration (Halko et al. 2011, arXiv 0909.4061).
_MORE, _ROUNDS = 8, 16


def principal(adapted: Adapted, rank: int, seed: int) -> dict[str, tuple[Tensor, Tensor]]:
    """By module, factors (b, a) with s·bᵀ·a = U·S·Vᵀ of the first `rank` singular values.

    b (rank, out), a (rank, in), both √(S/s) times singular vectors.
    """
    found = {}
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        for name, layer in adapted.layers.items():
            u, s, v = _leading(_weight(layer.base), rank)
            root = (s / layer.scale).sqrt()
            found[name] = ((u * root).T.contiguous(), (v * root).T.contiguous())
    return found


def _weight(base: nn.Module) -> Tensor:
    """(out, in), fp32."""
    weight = base.get_parameter("weight").detach().float()
    return weight.T if isinstance(base, Conv1D) else weight


def _leading(weight: Tensor, rank: int) -> tuple[Tensor, Tensor, Tensor]:
    if min(weight.shape) <= _EXACT:
        u, s, vh = torch.linalg.svd(weight, full_matrices=False)
        return u[:, :rank], s[:rank], vh[:rank].T
    u, s, v = torch.svd_lowrank(weight, q=min(rank + _MORE, min(weight.shape)), niter=_ROUNDS)
    return u[:, :rank], s[:rank], v[:, :rank]
