"""The two halves of every benchmark: `dev` to choose by, `test` for the last word."""

import hashlib
from typing import Literal

Half = Literal["all", "dev", "test"]


def half_of(item_hash: str, group: str | None) -> Literal["dev", "test"]:
    """The half that an item belongs to, for good: by the digest of its group, else of its content.

    So a passage's questions stay together, an item is in the same half of every file that holds
    it, and rows added later move none. About half of the groups are in each.
    """
    digest = hashlib.sha256(f"half {group or item_hash}".encode()).digest()
    return "dev" if digest[0] < 128 else "test"
