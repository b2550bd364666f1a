"""Inside an adapter: what it changes layer by module, and how that relates to its parents."""

from collections.abc import Callable, Sequence
from typing import Any

import altair as alt
import streamlit as st

from dashboard import address, parts
from dashboard.comparing.charts import DIVERGING, diverging
from dashboard.comparing.plots import theme
from dashboard.language import Words
from shared import db, results
from shared.comparisons import ComparisonTable
from shared.deltas import ModuleDelta, module_deltas
from shared.lora_files import LoraFile
from shared.storage import store

#: Viridis, from nearly nothing to the largest; readable without colours by its lightness.
_SEQUENTIAL = "viridis"
_ROW = 24
View = tuple[str, Callable[[ModuleDelta], float | None]]


@st.cache_data(max_entries=32, show_spinner=False)
def deltas_of(digest: str, name: str, uri: str, parents: dict[str, str]) -> list[ModuleDelta]:
    """An adapter's modules; `parents`: their folders in the store by name.

    Files never change under their digest, so what was computed once stays true.
    """
    folder = store().open_path(uri)
    above = {other: LoraFile(other, store().open_path(where)) for other, where in parents.items()}
    return module_deltas(LoraFile(name, folder), above)


def deltas(name: str) -> list[ModuleDelta]:
    """The modules of an adapter of the pool. Raises UnknownAdapter, UnsupportedAdapter, OSError."""
    with db.reading() as session:
        own = results.adapter(session, name)
        above = [results.adapter(session, parent) for parent in own.parents or []]
    if own.facts.get("tuning") == "full":
        return []  # a whole model, which has no factors
    same = {row.name: row.uri for row in above if row.base_fingerprint == own.base_fingerprint}
    return deltas_of(own.sha256, name, own.uri, same)


def views(words: Words, found: Sequence[ModuleDelta]) -> dict[str, View]:
    """What can be shown of these modules, by code: its title, and its number of a module."""
    out: dict[str, View] = {
        "norm": (words("modules.norm"), lambda each: each.norm),
        "rank": (words("modules.rank"), lambda each: each.effective_rank),
    }
    for parent in dict.fromkeys(name for each in found for name in each.cosines):
        title = words("modules.cosine", parent=parent)
        out[f"cosine-{parent}"] = (title, lambda each, parent=parent: each.cosines.get(parent))
    if any(each.conflicts is not None for each in found):
        out["conflicts"] = (words("modules.conflicts"), lambda each: each.conflicts)
    return out


def heat_rows(found: Sequence[ModuleDelta], view: View, words: Words) -> list[dict[str, Any]]:
    """A cell for each module that has this number."""
    title, number = view
    return [
        {
            "layer": "–" if each.layer is None else str(each.layer),
            "module": each.module,
            "value": value,
            "text": f"{title} {value:.3g}",
        }
        for each in found
        if (value := number(each)) is not None
    ]


def heatmap(
    found: Sequence[ModuleDelta], code: str, view: View, words: Words
) -> tuple[alt.Chart, int] | None:
    """Layer by module, and its height in pixels; None where no module has this number."""
    rows = heat_rows(found, view, words)
    if not rows:
        return None
    layers = list(dict.fromkeys(row["layer"] for row in rows))
    modules = list(dict.fromkeys(row["module"] for row in rows))
    scale = alt.Scale(scheme=_SEQUENTIAL)
    if code.startswith("cosine"):
        scale = diverging(theme(), 1)
    elif code == "conflicts":
        scale = alt.Scale(domain=[0, 1], range=DIVERGING[theme()][3::-1])
    axis = alt.Axis(labelLimit=200, labelAngle=0, ticks=False, domain=False, labelOverlap=True)
    chart = (
        alt.Chart(alt.Data(values=rows))
        .mark_rect(stroke="#808C8E", strokeOpacity=0.25)
        .encode(
            x=alt.X("layer:N", sort=layers, title=words("modules.layer"), axis=axis),
            y=alt.Y("module:N", sort=modules, title=None, axis=axis),
            color=alt.Color("value:Q", scale=scale, title=None),
            tooltip=[
                alt.Tooltip("layer:N", title=words("modules.layer")),
                alt.Tooltip("module:N", title=words("modules.module")),
                alt.Tooltip("text:N", title=view[0]),
            ],
        )
    )
    return chart, _ROW * len(modules) + 60


def modules(words: Words, name: str, page: str) -> None:
    """The heat map of one adapter; what is shown stands in the page's address."""
    try:
        found = deltas(name)
    except OSError:
        st.caption(words("modules.gone"))
        return
    offered = views(words, found)
    if not found:
        st.caption(words("modules.none"))
        return
    code = st.segmented_control(
        words("modules.shown"), list(offered), required=True, label_visibility="collapsed",
        format_func=lambda each: offered[each][0], key=address.seed_one(page, "inside", [*offered]),
    ) or "norm"  # fmt: skip
    address.keep(page, "inside", [code] if code != "norm" else [])
    made = heatmap(found, code, offered[code], words)
    if made is not None:
        plot, height = made
        title = f"{name} · {offered[code][0]}"
        st.altair_chart(plot, height=height, key=f"{page}.inside.{name}.{code}", alt=title)
    st.caption(words(f"modules.{code.partition('-')[0]}.help"))


def inside(words: Words, table: ComparisonTable) -> None:
    """The adapter of one arm, layer by module; fused ones first, for they have parents."""
    with_parents = sorted(
        (arm for arm in table.arms if arm.adapter is not None),
        key=lambda arm: arm.method == "train",
    )
    names = list(dict.fromkeys(arm.adapter for arm in with_parents if arm.adapter is not None))
    if not names:
        return
    st.subheader(words("modules.title"), anchor=False)
    with st.container(border=True):
        chosen = st.selectbox(
            words("adapters.name"), names, width=260,
            key=address.seed_one("compare", "adapter", names),
        ) or names[0]  # fmt: skip
        address.keep("compare", "adapter", [chosen] if chosen != names[0] else [])
        with parts.guard(words):
            modules(words, chosen, "compare")
