"""What an adapter can be used in: links to the forms, with it filled in."""

from collections.abc import Mapping, Sequence

import streamlit as st

from dashboard import parts
from dashboard.language import Words
from dashboard.queries import Choice
from shared.tables import Adapter

#: Adapters that a comparison is filled in with, besides the one that is looked at.
_MOST = 3
ICONS = {
    "evaluate": "speed",
    "compare": "balance",
    "fuse": "merge",
    "transfer": "move_up",
    "chat": "forum",
}


def rivals(found: Adapter, others: Sequence[Choice]) -> list[str]:
    """What it is best compared with: its parents of the same base, else the base's newest ones."""
    same = [each.name for each in others if each.base == found.base_model and not each.coming]
    parents = [name for name in found.parents if name in same]
    return parents or [name for name in same if name != found.name][:_MOST]


def links(found: Adapter, others: Sequence[Choice]) -> dict[str, Mapping[str, str | list[str]]]:
    """The address of each use; a comparison only where there is something to compare with."""
    name, near = found.name, rivals(found, others)
    compared = {"kind": "evaluate", "adapter": [name, *near]}
    return {
        "evaluate": {"kind": "evaluate", "adapter": name},
        **({"compare": compared} if near else {}),
        "fuse": {"kind": "fuse", "adapter": name},
        "transfer": {"kind": "fuse", "adapter": name, "method": "refresh"},
        "chat": {"adapter": name},
    }


def uses(words: Words, found: Adapter, others: Sequence[Choice]) -> None:
    """A button that opens the links."""
    near = parts.plain(", ".join(rivals(found, others)))
    with st.popover(words("uses.title"), icon=":material/outbound:"):
        for use, query in links(found, others).items():
            st.page_link(
                f"app_pages/{'playground' if use == 'chat' else 'submit'}.py",
                label=words(f"uses.{use}", others=near)
                if use == "compare"
                else words(f"uses.{use}"),
                icon=f":material/{ICONS[use]}:",
                query_params=query,
            )
