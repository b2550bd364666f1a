"""Uploading a training or benchmark file, and registering a base model by its folder."""

import json
import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from streamlit.testing.v1 import AppTest

import filled
from dashboard.archive import zipped
from pages import Open, texts
from shared import datasets, db
from shared.people.actors import local_actor
from shared.storage import store
from shared.tables import Adapter, Dataset, ModelRef


def _upload(app: AppTest, name: str, content: bytes) -> AppTest:
    app.file_uploader(key="datasets.file").upload(name, content, "application/json")
    return app.run()


def _rows(count: int) -> bytes:
    rows = [{"instruction": f"Say {n}", "output": f"{n}."} for n in range(count)]
    return json.dumps(rows).encode()


def test_a_good_file_is_previewed_and_registered_under_its_name(
    empty_pool: Path, open_page: Open
) -> None:
    app = _upload(open_page("datasets"), "my rows.json", _rows(3))
    assert "3 rows can be used · alpaca · en 3" in app.success[0].value
    assert list(app.dataframe[0].value["user"]) == ["Say 0", "Say 1", "Say 2"]
    assert app.text_input[0].value == "my-rows"
    next(button for button in app.button if button.label == "Register").click().run()
    with db.reading() as session:
        found = session.get_one(Dataset, "my-rows")
    assert (found.kind, found.rows, found.user) == ("training", 3, filled.USER)


def test_a_benchmark_file_is_read_by_its_shape(empty_pool: Path, open_page: Open) -> None:
    app = open_page("datasets", "zh")
    app.button_group(key="datasets.kind").set_value("benchmark").run()
    row = {"prompt": "首都？", "choices": ["甲", "乙"], "answer": 1, "lang": "zh"}
    app = _upload(app, "capitals.jsonl", (json.dumps(row) + "\n").encode())
    assert "1 行可用 · choice · zh 1" in app.success[0].value


def test_wrong_rows_are_listed_with_what_is_wrong(empty_pool: Path, open_page: Open) -> None:
    rows = [{"instruction": "a", "output": "b"}, {"instruction": "a"}, {"output": "b"}]
    app = _upload(open_page("datasets"), "rows.json", json.dumps(rows).encode())
    assert "2 of 3 rows cannot be used" in app.error[0].value
    table = app.dataframe[0].value
    assert list(table["Row"]) == [2, 3]
    assert list(table["What is wrong"]) == ["no output", "no instruction"]
    assert not [button for button in app.button if button.label == "Register"]
    app.checkbox(key="datasets.skip").check().run()
    assert "1 rows can be used" in app.success[0].value
    next(button for button in app.button if button.label == "Register").click().run()
    with db.reading() as session:
        found = session.get_one(Dataset, "rows")
    assert (found.rows, found.facts["skipped"]) == (1, 2)


def test_rows_that_say_the_same_are_named_and_a_template_is_tried_before_registering(
    empty_pool: Path, open_page: Open
) -> None:
    rows = [{"instruction": f"Say {n % 2}", "output": f"{n % 2}."} for n in range(4)]
    app = _upload(open_page("datasets"), "rows.json", json.dumps(rows).encode())
    (repeats,) = [each.value for each in app.dataframe if "Says the same as row" in each.value]
    assert list(zip(repeats["Row"], repeats["Says the same as row"], strict=True)) == [
        (3, 1),
        (4, 2),
    ]
    app.selectbox(key="datasets.template").select("vicuna").run()
    assert "USER: Say 0" in "".join(each.proto.body for each in app.get("html"))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "there are no rows in it"),
        (b"[", "not valid JSON"),
        ("你好".encode("gb18030"), "not UTF-8 text"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_with_the_reason(
    empty_pool: Path, open_page: Open, content: bytes, said: str
) -> None:
    app = _upload(open_page("datasets"), "broken.jsonl", content)
    assert said in app.error[0].value
    assert len(app.dataframe) == 0


def test_a_name_in_use_is_refused(pool: Path, open_page: Open) -> None:
    app = _upload(open_page("datasets", "zh"), f"{filled.TRAINING}.json", _rows(2))
    next(button for button in app.button if button.label == "登记").click().run()
    assert "已被占用" in app.error[0].value


def test_training_rows_are_shown_in_the_chosen_template(pool: Path, open_page: Open) -> None:
    app = open_page("datasets", name=filled.TRAINING)
    app.selectbox(key="datasets.template").set_value("vicuna").run()
    drawn = [body for each in app.get("html") if (body := each.proto.body).startswith("<pre")]
    assert len(drawn) == 3
    assert all("ASSISTANT:<span" in html and "■</span>" in html for html in drawn)
    assert "Duplicates" in texts(app)


def test_several_turns_are_previewed_turn_by_turn(empty_pool: Path, open_page: Open) -> None:
    said = [("human", "Q"), ("gpt", "A"), ("human", "R"), ("gpt", "B")]
    row = {"conversations": [{"from": who, "value": text} for who, text in said]}
    app = _upload(open_page("datasets"), "talk.json", json.dumps([row]).encode())
    assert "1 rows can be used · sharegpt" in app.success[0].value
    assert app.dataframe[0].value.iloc[0].to_dict() == {
        "user 1": "Q", "assistant 1": "A", "user 2": "R", "assistant 2": "B",
    }  # fmt: skip


def test_a_registered_file_shows_its_rows(pool: Path, open_page: Open) -> None:
    app = open_page("datasets", name="capitals")
    rows = app.dataframe[0].value
    assert len(rows) == 50
    assert next(iter(rows["choices"])) == "City 0\nVillage 0"
    assert "en 80 · zh 40" in texts(app)


def _base(folder: Path) -> Path:
    folder.mkdir()
    config = {"architectures": ["SomethingForCausalLM"], "hidden_size": 8, "vocab_size": 16}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer.json").write_text("{}")
    save_file({"weight": np.zeros((8, 16), np.float32)}, folder / "model.safetensors")
    return folder


def _register_base(app: AppTest, name: str, folder: Path) -> AppTest:
    app.text_input(key="models.name").set_value(name)
    app.text_input(key="models.folder").set_value(str(folder))
    return next(button for button in app.button if button.label == "Register").click().run()


def test_a_base_model_is_registered_by_its_folder(empty_pool: Path, open_page: Open) -> None:
    app = _register_base(open_page("models"), "own", _base(empty_pool / "base"))
    assert "own is registered" in app.success[0].value
    assert list(app.dataframe[0].value["Name"]) == ["own"]
    with db.reading() as session:
        assert session.get_one(ModelRef, "own").parameters == 128


def test_a_folder_that_is_no_base_is_refused(empty_pool: Path, open_page: Open) -> None:
    app = _register_base(open_page("models"), "own", empty_pool / "nowhere")
    assert "there is no such folder" in app.error[0].value
    assert len(app.dataframe) == 0


def test_an_adapter_downloads_as_a_zip_that_unpacks_into_its_folder(pool: Path) -> None:
    with db.reading() as session:
        uri = session.get_one(Adapter, "native").uri
    folder = store().open_path(uri)
    with zipfile.ZipFile(BytesIO(zipped(folder, "native"))) as archive:
        assert archive.testzip() is None
        assert {"native/adapter_config.json", "native/manifest.json"} <= set(archive.namelist())
        weights = archive.read("native/adapter_model.safetensors")
    assert weights == (folder / "adapter_model.safetensors").read_bytes()


def test_a_benchmark_made_of_an_lm_eval_task_says_which_and_where_its_scores_are(
    pool: Path, open_page: Open, tmp_path: Path
) -> None:
    file = tmp_path / "capitals.jsonl"
    row = {"prompt": "Capital?", "choices": [" A", " B"], "answer": 1, "lang": "en"}
    file.write_text(json.dumps(row | {"verbatim": True}) + "\n")
    with db.writing() as session:
        task = {"task": "quiz", "version": 1.0, "shots": 5, "metrics": {"acc": "accuracy"}}
        datasets.register(
            session, "asked", file, "benchmark", actor=local_actor(), origin={"lm_eval": task}
        )
    shown = texts(open_page("datasets", name="asked"))
    assert "quiz" in shown
    assert "acc → accuracy" in shown


def test_a_chinese_reader_uploads_by_a_chinese_button(pool: Path, open_page: Open) -> None:
    styles = [each.proto.body for each in open_page("datasets", "zh").get("html")]
    assert any("stFileUploaderDropzone" in style and "上传" in style for style in styles)
