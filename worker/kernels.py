"""Which attention kernels serve batches whose lengths are seldom twice the same."""

from contextlib import AbstractContextManager
from typing import Any

from torch.nn.attention import SDPBackend, sdpa_kernel

#: All of PyTorch's but cuDNN's. That one makes a plan for every new length, 0.13 s each on an
#: H100: an answer of 64 tokens, or a training step on rows of another length, waits for it.
_ANY_LENGTH = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]


def for_any_length() -> AbstractContextManager[Any]:
    """Within it, attention takes no kernel that is prepared for one length; nothing on a CPU."""
    return sdpa_kernel(_ANY_LENGTH)
