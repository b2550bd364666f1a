"""The vLLM-safe profile: one rank everywhere, from the ranks that vLLM allots memory for."""

from collections.abc import Sequence

from shared.specs.fusion.same_base import VLLM_RANKS, SameBase
from worker.fusion.canonical import CanonicalAdapter


def uniform_rank(params: SameBase, donors: Sequence[CanonicalAdapter]) -> int:
    """The one rank of the vllm profile: the chosen, else the smallest allowed that loses nothing.

    Where the sum of the ranks is above the largest allowed, that one; what it drops is reported.
    0 for the peft profile.
    """
    if params.profile != "vllm":
        return 0
    sums: dict[str, int] = {}
    for donor in donors:
        for name, module in donor.modules.items():
            sums[name] = min(sums.get(name, 0) + module.rank, *module.shape)
    needed = params.rank or max(sums.values())
    return next((rank for rank in VLLM_RANKS if rank >= needed), VLLM_RANKS[-1])
