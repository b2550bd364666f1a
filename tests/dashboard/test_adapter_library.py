"""The adapter's page: recommending, writing about it, and files from elsewhere."""

import io
import zipfile
from pathlib import Path

import pytest

import filled
from dashboard import adapter_upload
from pages import Open, texts
from shared import adapter_library, db
from shared.errors import UnsupportedAdapter


def test_promoting_and_tagging_show_on_the_page_and_find_the_adapter(
    empty_pool: Path, open_page: Open
) -> None:
    filled.fill(empty_pool, items=3, arms=("base", "native"))
    app = open_page("adapters", name="fused")
    app.button("adapters.promote").click().run()
    app.text_area("adapters.note.fused").set_value("Rivers & *hills*").run()
    app.multiselect("adapters.tags.fused").set_value(["demo"]).run()
    app.button("adapters.save").click().run()
    assert not app.exception
    assert "Rivers & *hills*" in [each.value for each in app.text]
    assert "recommended by tester" in texts(app)
    with db.reading() as session:
        assert adapter_library.card(session, "fused").tags == ["demo"]
    listed = open_page("adapters", "zh", tag="demo").dataframe[0].value
    assert list(listed["name"]) == ["fused"]
    assert list(listed["promoted"]) == ["★"]


def test_the_page_shows_scores_losses_and_the_inside(pool: Path, open_page: Open) -> None:
    app = open_page("adapters", name="native")
    scores = app.dataframe[0].value
    assert set(scores["Benchmark"]) == set(filled.BENCHMARKS)
    assert "84.2 %" in set(scores["Score"])
    assert "Training losses" in texts(app)
    assert app.button_group(key="address.adapters.inside").value == "norm"


class _File(io.BytesIO):
    def __init__(self, name: str, content: bytes) -> None:
        super().__init__(content)
        self.name = name


def test_a_zip_yields_the_two_files_and_its_names_become_no_paths(tmp_path: Path) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("../../adapter_config.json", "{}")
        archive.writestr("deep/adapter_model.safetensors", b"weights")
        archive.writestr("evil.py", "print()")
    folder = tmp_path / "in"
    folder.mkdir()
    adapter_upload.unpack("x", [_File("a.zip", out.getvalue())], folder)
    assert {path.name for path in folder.iterdir()} == set(adapter_upload.FILES)
    assert {path.name for path in tmp_path.iterdir()} == {"in"}


def test_a_damaged_zip_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedAdapter, match=r"broken\.zip is no zip"):
        adapter_upload.unpack("x", [_File("broken.zip", b"no")], tmp_path)
