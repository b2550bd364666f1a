"""DoRA's linears (Liu et al. 2024, arXiv 2402.09353): a low-rank update, and each row's length.

W' = m·(W + s·B·A) / ‖W + s·B·A‖, norms of rows. As the paper has it, no gradient goes through the
norm; as PEFT has it, m begins as the norm of W's rows.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from worker.training.lora import Gate, LoraLinear, low_rank


class DoraLinear(LoraLinear):
    """A LoraLinear whose rows are scaled to lengths of their own, `m` (J, out)."""

    def __init__(
        self,
        base: nn.Linear,
        a: Tensor,
        b: Tensor,
        scale: float,
        gate: Gate,
        dropout: float,
        m: Tensor,
    ) -> None:
        super().__init__(base, a, b, scale, gate, dropout)
        self.base: nn.Linear = base
        self.m = nn.Parameter(m)

    def forward(self, x: Tensor) -> Tensor:
        if not self.gate.on:
            return self.base(x)
        stretch = (self.m / self._norms()).to(x.dtype)
        jobs = self.gate.jobs
        if jobs is None:
            stretch = stretch[0]
        else:
            stretch = (jobs.to(x.dtype) @ stretch).view(*x.shape[:-1], -1)
        if self.training and self.dropout > 0:
            return self._dropped(x, stretch)
        moved = self._sum(x, None) * stretch
        return moved if self.base.bias is None else moved + self.base.bias

    def _dropped(self, x: Tensor, stretch: Tensor) -> Tensor:
        """As PEFT drops: the base reads all of the input, the change what is left of it."""
        a, b = (part.flatten(0, 1).to(x.dtype) for part in self.factors())
        own = self._own(x.dtype, len(a))
        left = functional.dropout(x, self.dropout)
        product = functional.linear(left, self.base.weight)
        update = low_rank(left, a, b, own, self.scale)
        return self.base(x) + product * (stretch - 1) + update * stretch

    @torch.no_grad()
    def _norms(self) -> Tensor:
        """(J, out): lengths of the rows of W + s·B·A, without forming it for more than one job."""
        weight = self.base.weight.float()
        pairs = zip(self.a, self.b, strict=True)
        moved = (torch.addmm(weight, b.T, a, alpha=self.scale) for a, b in pairs)
        return torch.stack([each.norm(dim=1) for each in moved])
