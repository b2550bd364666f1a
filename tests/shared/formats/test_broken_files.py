"""Broken files: each has a message of its own, and none takes long, much memory or a traceback."""

import resource
from pathlib import Path

import pytest

from broken_data import BROKEN, GOOD
from shared.errors import LANGUAGES, GraftError, from_record
from shared.formats import read_rows, rows


def _refused(path: Path) -> GraftError:
    with pytest.raises(GraftError) as caught:
        for _ in rows(path):
            pass
    return caught.value


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_refused_with_its_place_and_a_remedy(name: str, tmp_path: Path) -> None:
    file, write, code, english, chinese = BROKEN[name]
    path = tmp_path / file
    write(path)
    problem = _refused(path)
    assert problem.code() == code
    told = from_record(problem.record())
    for language, words in zip(LANGUAGES, (english, chinese), strict=True):
        said = told.message(language)
        assert file in said
        assert "{" not in said.replace(": [{", "")
        for word in words:
            assert word in said


def test_a_huge_line_and_a_bomb_take_little_memory(tmp_path: Path) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for name in ("a line of 1 GiB", "a gzip bomb"):
        file, write, *_ = BROKEN[name]
        write(tmp_path / file)
        _refused(tmp_path / file)
        (tmp_path / file).unlink()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 << 10


def test_a_byte_order_mark_and_windows_line_ends_are_read_over(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + f"{GOOD}\r\n{GOOD}\r\n".encode())
    assert len(read_rows(path)) == 2


def test_wrong_rows_can_be_left_out_where_others_are_right(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(f'{GOOD}\n{{"instruction": "a"}}\nno json\n{GOOD}\n')
    assert [number for number, _ in rows(path, skip=True)] == [1, 4]
    path.write_text('{"instruction": "a"}\n')
    with pytest.raises(GraftError, match="no output"):
        list(rows(path, skip=True))
