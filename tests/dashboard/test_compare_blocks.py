"""The drawn blocks of the comparison page, its files, and the diff of two answers."""

import io
import json
import zipfile
from pathlib import Path

import altair as alt
import pytest
from PIL import Image

import filled
from dashboard.comparing import charts, files, worddiff
from dashboard.language import Words
from pages import Open, texts
from shared import comparisons, db
from shared.comparisons import ComparisonTable
from shared.errors import Language


def _built() -> ComparisonTable:
    with db.reading() as session:
        return comparisons.build(session, filled.COMPARISON)


def test_english_differs_by_word_and_chinese_by_character() -> None:
    old, new = worddiff.differing("The cat sat", "The dog sat")
    assert old == [("The ", False), ("cat", True), (" sat", False)]
    assert new == [("The ", False), ("dog", True), (" sat", False)]
    old, new = worddiff.differing("北京是首都", "南京是首都")
    assert (old[0], new[0]) == (("北", True), ("南", True))
    assert worddiff.differing("in 1,024 days", "in 1,025 days")[0][1] == ("1,024", True)


def test_a_space_between_two_different_words_belongs_to_them() -> None:
    old, _ = worddiff.differing("red fox runs", "blue cat runs")
    assert old == [("red fox", True), (" runs", False)]


def test_what_differs_is_marked_and_everything_is_escaped() -> None:
    _, new = worddiff.differing("a", "a <script>")
    assert worddiff.marked(new, "ins") == "a<ins> &lt;script&gt;</ins>"


def test_very_long_texts_are_not_compared_word_by_word() -> None:
    text = "word " * worddiff.MOST_TOKENS
    assert worddiff.differing(text, "other") == ([(text, True)], [("other", True)])


@pytest.mark.parametrize(("language", "word"), [("en", "Helped"), ("zh", "有帮助")])
def test_the_page_begins_with_a_word_and_a_sentence_for_each_arm(
    pool: Path, open_page: Open, language: Language, word: str
) -> None:
    page = texts(open_page("compare", language, name=filled.COMPARISON))
    assert page.count(f"{word}]") == 3
    assert filled.COMPARISON in page


def test_the_heat_map_is_violet_where_an_arm_is_better_whatever_the_metric(pool: Path) -> None:
    rows = charts.heat_rows(_built(), Words("en"))
    found = {(row["arm"], row["benchmark"]): row for row in rows}
    fewer_bits = found["native", "endings · all languages"]
    assert fewer_bits["text"].startswith("▲ -")
    assert fewer_bits["strength"] > 1
    assert found["native", "capitals · all languages"]["strength"] > 1
    undetermined = found["refreshed", "capitals · all languages"]
    assert undetermined["text"].startswith("○")
    assert abs(undetermined["strength"]) < 1


def test_the_win_matrix_tells_each_duel_from_both_sides(pool: Path) -> None:
    found = [duel for duel in _built().duels if duel.benchmark == "capitals"]
    rows = {(row["arm"], row["other"]): row for row in charts.duel_rows(found, Words("en"))}
    assert rows["native", "base"]["lead"] == pytest.approx(-rows["base", "native"]["lead"])
    assert rows["native", "base"]["text"] == "92% (67:6)"


def test_another_ceiling_or_benchmark_stands_in_the_address(pool: Path, open_page: Open) -> None:
    app = open_page("compare", name=filled.COMPARISON)
    app.button_group(key="address.compare.duel").set_value("endings").run()
    assert app.query_params["duel"] == "endings"
    linked = open_page("compare", "zh", name=filled.COMPARISON, duel="endings")
    assert linked.button_group(key="address.compare.duel").value == "endings"
    assert not linked.exception


def test_a_picture_holds_the_chinese_words_themselves(pool: Path) -> None:
    pictures = [files.picture(_built(), language) for language in ("en", "zh")]
    opened = [Image.open(io.BytesIO(each)) for each in pictures if each is not None]
    assert len(opened) == 2
    assert all(each.width > 1000 for each in opened)
    # Boxes in place of missing characters would make every heading of one length the same.
    assert _drawn("基线") != _drawn("准确")


def _drawn(text: str) -> bytes:
    chart = alt.Chart(alt.Data(values=[{"a": 1}])).mark_text(text=text, fontSize=40)
    return files.png(chart)


def test_the_archive_has_a_report_in_each_language_with_the_command_that_repeats_it(
    pool: Path,
) -> None:
    table = _built()
    with zipfile.ZipFile(io.BytesIO(files.archive(table))) as packed:
        names = {name.removeprefix(f"{table.name}/") for name in packed.namelist()}
        report = packed.read(f"{table.name}/report.zh.md").decode()
        numbers = json.loads(packed.read(f"{table.name}/{table.name}.json"))
    assert {"report.en.md", "report.zh.md", "first-look.zh.png", "first-look.csv"} <= names
    assert "graft compare first-look --baseline base --format md --lang zh" in report
    assert "![在哪里有帮助](first-look.zh.png)" in report
    assert "native 优于 base" in report
    assert len(numbers["duels"]) == len(table.duels)


def test_one_markdown_file_holds_both_languages_the_readers_first(pool: Path) -> None:
    text = files.bilingual(_built(), "zh")
    assert text.index("有帮助") < text.index("Helped")


def test_text_on_every_cell_of_a_heat_map_can_be_read() -> None:
    for theme in ("light", "dark"):
        stops = charts.DIVERGING[theme]
        for place, ground in enumerate(stops):
            value = place / (len(stops) - 1) * 2 - 1
            assert _contrast(ground, charts.ink(value, 1, theme)) >= 4.5


def _contrast(one: str, other: str) -> float:
    def light(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    lights = sorted((light(one), light(other)))
    return (lights[1] + 0.05) / (lights[0] + 0.05)


def test_inside_an_adapter_its_parents_are_offered_and_the_choice_is_a_link(
    pool: Path, open_page: Open
) -> None:
    app = open_page("compare", name=filled.COMPARISON)
    chooser = app.button_group(key="address.compare.inside")
    offered = [option.content for option in chooser.proto.options]
    assert offered == ["Norm of ΔW", "Effective rank", "Cosine to native", "Cosine to second",
                       "Sign conflicts"]  # fmt: skip
    chooser.set_value("conflicts").run()
    assert app.query_params["inside"] == "conflicts"
    assert not app.exception
