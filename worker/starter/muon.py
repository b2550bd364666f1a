"""Muon: an optimiser that learns more from each step than Adam, for the starter bases' matrices."""

from collections import defaultdict

import torch

#: Coefficients of the quintic Newton-Schulz step (Keller Jordan, 2024).
A, B, C = 3.4445, -4.7750, 2.0315
ROUNDS = 5


class Muon:
    """Momentum whose matrix is made orthogonal before each step (Jordan 2024, arXiv 2502.16982).

    torch.optim.Muon works in bfloat16, which processors without such instructions compute fifteen
    times slower; this one stays in float32 and treats matrices of one shape together.
    """

    def __init__(self, weights: list[torch.nn.Parameter], momentum: float = 0.95) -> None:
        """Take weights of shape (rows, columns), each with a gradient at every step."""
        self.momentum = momentum
        self.shapes: dict[torch.Size, list[torch.nn.Parameter]] = defaultdict(list)
        for weight in weights:
            self.shapes[weight.shape].append(weight)
        self.averages = {
            shape: torch.zeros(len(group), *shape) for shape, group in self.shapes.items()
        }

    @torch.no_grad()
    def step(self, rates: dict[torch.nn.Parameter, float]) -> None:
        """Move each weight by its rate; an update's root mean square is 0.2 times the rate."""
        for shape, group in self.shapes.items():
            gradient = torch.stack([w.grad for w in group if w.grad is not None])
            average = self.averages[shape].lerp_(gradient, 1 - self.momentum)
            update = orthogonal(gradient.lerp(average, self.momentum))
            for weight, move in zip(group, update, strict=True):
                weight.sub_(move, alpha=0.2 * max(shape) ** 0.5 * rates[weight])


def orthogonal(matrices: torch.Tensor) -> torch.Tensor:
    """The nearest matrices with singular values near 1: (n, rows, columns), by Newton-Schulz."""
    wide = matrices if matrices.shape[1] <= matrices.shape[2] else matrices.mT
    wide = wide / (wide.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(ROUNDS):
        gram = wide @ wide.mT
        wide = A * wide + (B * gram + C * gram @ gram) @ wide
    return wide if matrices.shape[1] <= matrices.shape[2] else wide.mT
