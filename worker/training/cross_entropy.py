"""Cross-entropy of an output head without ever holding all logits."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

#: Logits held at once: 64 MiB in fp32 on a CPU, 512 MiB on a GPU, which wants larger products.
_LOGITS_CPU, _LOGITS_GPU = 1 << 24, 1 << 27


def linear_cross_entropy(
    hidden: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor
) -> Tensor:
    """(n,) of -log softmax(hidden · weightᵀ + bias)[targets], in nats, fp32.

    hidden (n, width), weight (vocabulary, width), bias (vocabulary,), targets (n,). Gradient goes
    to `hidden` only. Its direction is formed in the forward pass, chunk by chunk, so that the
    backward pass keeps (n, width) numbers instead of (n, vocabulary), and no logit is computed
    twice (the way of Liger Kernel, arXiv 2410.10989).
    """
    return _LinearCrossEntropy.apply(hidden, weight, bias, targets)  # pyright: ignore[reportReturnType]


def learning_cross_entropy(
    hidden: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor
) -> Tensor:
    """The same where the head learns too: each chunk's logits are computed again for its gradient.

    Products are in the precision of an autocast around it.
    """
    most = _LOGITS_GPU if hidden.is_cuda else _LOGITS_CPU
    size = max(1, most // weight.shape[0])
    parts = zip(hidden.split(size), targets.split(size), strict=True)
    losses: list[Any] = [
        checkpoint(_losses, part, weight, bias, chosen, use_reentrant=False)
        for part, chosen in parts
    ]
    return torch.cat(losses)


def _losses(hidden: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor) -> Tensor:
    logits = functional.linear(hidden, weight, bias).float()
    return functional.cross_entropy(logits, targets, reduction="none")


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor
    ) -> Tensor:
        gradient = torch.empty_like(hidden) if ctx.needs_input_grad[0] else None
        losses = torch.empty(len(hidden), dtype=torch.float32, device=hidden.device)
        most = _LOGITS_GPU if hidden.is_cuda else _LOGITS_CPU
        size = max(1, most // weight.shape[0])
        for first in range(0, len(hidden), size):
            part = slice(first, first + size)
            into = gradient[part] if gradient is not None else None
            losses[part] = _chunk(hidden[part], weight, bias, targets[part], into)
        ctx.gradient = gradient
        return losses

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None, None, None]:
        return ctx.gradient * grad_outputs[0][:, None].to(ctx.gradient.dtype), None, None, None


def _chunk(
    hidden: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor, gradient: Tensor | None
) -> Tensor:
    """The losses of some rows; their gradients, (softmax - one hot) · weight, go to `gradient`."""
    logits = functional.linear(hidden.to(weight.dtype), weight, bias).float()
    log_sum = logits.logsumexp(dim=-1)
    rows = torch.arange(len(targets), device=targets.device)
    losses = log_sum - logits[rows, targets]
    if gradient is not None:
        slope = logits.sub_(log_sum[:, None]).exp_()
        slope[rows, targets] -= 1
        gradient.copy_(slope.to(weight.dtype) @ weight)
    return losses
