"""Which attention kernels serve batches whose lengths are never twice the same."""

from contextlib import AbstractContextManager
from typing import Any

from torch.nn.attention import SDPBackend, sdpa_kernel

#: All of PyTorch's but cuDNN's, which makes a plan for every new length: an answer of 64 tokens
#: then waits for 64 plans, several seconds, before the first batch is through.
_ANY_LENGTH = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]


def for_any_length() -> AbstractContextManager[Any]:
    """Within it, attention takes no kernel that is prepared for one length; nothing on a CPU."""
    return sdpa_kernel(_ANY_LENGTH)
