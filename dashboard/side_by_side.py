"""The items of a comparison side by side: what two arms answered, and which one is right."""

from typing import Any

import streamlit as st

from dashboard import parts
from dashboard.comparing.worddiff import Piece, differing, marked
from dashboard.language import Words
from shared import comparisons, db
from shared.comparisons import ComparisonTable, Flip, ItemPair
from shared.config import settings
from shared.metrics import ALL

PAGE = 10
#: Colour is not the only sign: what was there is dotted, what is there now is underlined.
_STYLE = """<style>
.diff {white-space: pre-wrap; overflow-wrap: anywhere;}
.diff del {text-decoration: underline dotted; background: rgba(213,94,0,.20);}
.diff ins {text-decoration: underline; background: rgba(148,103,189,.24);}
</style>"""
FLIPS = (*(flip.value for flip in Flip), "changed")


@st.cache_data(max_entries=32, ttl=60, show_spinner=False)
def table_of(database: str, name: str, baseline: str | None) -> ComparisonTable:
    """The table of a comparison; a minute old at most, for bootstraps take a while."""
    with db.reading() as session:
        return comparisons.build(session, name, baseline)


@st.cache_data(max_entries=16, ttl=600, show_spinner=False)
def pairs_of(database: str, name: str, baseline: str, arm: str, benchmark: str) -> list[ItemPair]:
    """The items of an arm beside the baseline's."""
    table = table_of(database, name, baseline)
    with db.reading() as session:
        return comparisons.item_pairs(session, table, arm, benchmark)


def choose_items(words: Words, table: ComparisonTable) -> tuple[str, str] | None:
    """Which arm and benchmark to read item by item."""
    arms = [arm.name for arm in table.arms if not arm.is_baseline]
    if not arms:
        return None
    with st.container(horizontal=True, vertical_alignment="bottom"):
        arm = st.selectbox(words("compare.arm"), arms, key="compare.items.arm", width=240)
        benchmarks = list(table.arm(arm or arms[0]).evaluations)
        benchmark = st.selectbox(
            words("compare.benchmark"), benchmarks, key="compare.items.benchmark", width=240
        )
    return (arm, benchmark) if arm and benchmark else None


@st.fragment
def items(words: Words, table: ComparisonTable) -> None:
    """The items side by side, filtered."""
    with parts.guard(words):
        chosen = choose_items(words, table)
        if chosen is None:
            return
        arm, benchmark = chosen
        if benchmark not in table.arm(table.baseline).evaluations:
            st.info(words("compare.no_pairs"))
            return
        found = pairs_of(settings().database, table.name, table.baseline, arm, benchmark)
        found = narrowed(words, found, f"{arm}.{benchmark}")
        counted = comparisons.counted(found)
        offered = [flip for flip in FLIPS if counted[flip]]
        flip = st.pills(
            words("compare.filter"), offered,
            format_func=lambda code: f"{words.code('flip', code)} {counted.get(code, 0):,}",
            key=f"compare.flip.{arm}.{benchmark}", label_visibility="collapsed",
        )  # fmt: skip
        kept = [pair for pair in found if _keeps(flip, pair)]
        st.download_button(
            words("compare.export.items"), lambda: comparisons.items_csv(kept, table.baseline, arm),
            f"{table.name}-{arm}-{benchmark}.csv", "text/csv", icon=":material/download:",
            on_click="ignore", key="compare.export.items",
        )  # fmt: skip
        pages = max(1, -(-len(kept) // PAGE))
        page = 1
        if pages > 1:
            page = st.pagination(pages, key=f"compare.page.{arm}.{benchmark}.{flip}")
        for pair in kept[(page - 1) * PAGE : page * PAGE]:
            side_by_side(words, table.baseline, arm, pair)


def narrowed(words: Words, found: list[ItemPair], key: str) -> list[ItemPair]:
    """The items of the chosen language, the arm's worst first where that is asked."""
    languages = sorted({pair.language for pair in found})
    with st.container(horizontal=True, vertical_alignment="center"):
        chosen = ALL
        if len(languages) > 1:
            chosen = st.segmented_control(
                words("compare.spoken"), [ALL, *languages], default=ALL, required=True,
                format_func=words.codes("language"), key=f"compare.spoken.{key}",
                label_visibility="collapsed",
            )  # fmt: skip
        worst = st.toggle(words("compare.worst"), key=f"compare.worst.{key}")
    kept = [pair for pair in found if chosen in (None, ALL, pair.language)]
    return sorted(kept, key=_loss, reverse=True) if worst else kept


def _loss(pair: ItemPair) -> float:
    """How much worse the arm did than the baseline."""
    change = abs(pair.arm_value - pair.baseline_value)
    return change if pair.flip is Flip.BROKEN else -change


def _keeps(flip: str | None, pair: ItemPair) -> bool:
    if flip is None:
        return True
    return pair.changed if flip == "changed" else pair.flip == flip


def side_by_side(words: Words, baseline: str, arm: str, pair: ItemPair) -> None:
    """One item: the question, the right answer, and what both arms said."""
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(f"{parts.plain(pair.item_id)} · {words.code('language', pair.language)}")
            st.badge(words.code("flip", pair.flip), color=_flip_colour(pair.flip))
        asked, right, before, after = st.columns(4)
        _text(asked, words("compare.prompt"), pair.prompt or words("compare.gone"))
        _text(right, words("compare.reference"), "\n———\n".join(pair.references))
        old, new = differing(pair.baseline_output, pair.arm_output)
        _diff(before, f"{baseline} · {pair.baseline_value:.3g}", old, "del")
        _diff(after, f"{arm} · {pair.arm_value:.3g}", new, "ins")
        for where, used in ((before, pair.baseline_samples), (after, pair.arm_samples)):
            if used:
                where.caption(words("compare.samples", samples=", ".join(used)))


def _text(where: Any, title: str, text: str) -> None:
    """A text a model or a file holds, shown exactly as it is."""
    where.caption(parts.plain(title))
    where.text(text or "–", width="stretch")


def _diff(where: Any, title: str, pieces: list[Piece], tag: str) -> None:
    """A text with what differs from the other arm's on a coloured ground, underlined or not."""
    where.caption(parts.plain(title))
    where.html(_STYLE + f'<div class="diff">{marked(pieces, tag) or "–"}</div>')


def _flip_colour(flip: Flip) -> parts.Colour:
    colours: dict[Flip, parts.Colour] = {Flip.FIXED: "violet", Flip.BROKEN: "orange"}
    return colours.get(flip, "gray")
