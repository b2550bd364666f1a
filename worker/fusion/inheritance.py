"""What a fused adapter takes over from its donors besides their weights."""

from collections.abc import Sequence
from typing import Any

from shared.orders import AdapterFiles


def inherited(donors: Sequence[AdapterFiles]) -> dict[str, Any]:
    """Facts a fused adapter is used with: its donors' prompt template, and who they were.

    Donors trained with different templates leave `auto`, and `templates` tells which had what.
    """
    templates = {donor.name: str(donor.facts.get("template") or "auto") for donor in donors}
    facts: dict[str, Any] = {"donors": {donor.name: donor.base.name for donor in donors}}
    agreed = set(templates.values())
    facts["template"] = agreed.pop() if len(agreed) == 1 else "auto"
    if agreed:
        facts["templates"] = templates
    return facts
