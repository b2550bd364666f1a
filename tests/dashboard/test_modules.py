"""The layer by module view of an adapter."""

from pathlib import Path

import pytest

from dashboard.comparing import modules
from dashboard.language import Words


def test_a_weighted_sum_leans_to_both_parents_alike(pool: Path) -> None:
    found = modules.deltas("fused")
    assert len(found) == 12
    for each in found:
        # Two independent updates of one size: each is 1/sqrt(2) of their sum.
        assert each.cosines["native"] == pytest.approx(2**-0.5, abs=0.15)
        assert each.cosines["second"] == pytest.approx(2**-0.5, abs=0.15)
        assert each.conflicts == pytest.approx(0.5, abs=0.05)


def test_an_adapter_moved_from_another_base_has_no_cosine_to_its_donor(pool: Path) -> None:
    found = modules.deltas("refreshed")
    assert set(modules.views(Words("en"), found)) == {"norm", "rank"}
    rows = modules.heat_rows(found, modules.views(Words("zh"), found)["norm"], Words("zh"))
    assert len(rows) == 12
    assert rows[0]["layer"] == "0"
    assert rows[0]["text"].startswith("ΔW 范数 ")
    last = [row["value"] for row in rows if row["layer"] == "3"]
    first = [row["value"] for row in rows if row["layer"] == "0"]
    assert min(last) > max(first)
