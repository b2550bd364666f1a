"""Answers survive a kill, and count only for the questions they answered."""

from pathlib import Path

from worker.fusion.answer_file import Answered, AnswerFile

ANSWERS = [Answered(row, f"第 {row}\n条", "finished", 0.5) for row in range(3)]


def test_a_file_reads_back_what_was_added(tmp_path: Path):
    AnswerFile(tmp_path / "answers.jsonl", "key").add(ANSWERS)
    again = AnswerFile(tmp_path / "answers.jsonl", "key")
    assert list(again.found.values()) == ANSWERS


def test_a_line_cut_by_a_kill_is_asked_again(tmp_path: Path):
    path = tmp_path / "answers.jsonl"
    AnswerFile(path, "key").add(ANSWERS)
    path.write_bytes(path.read_bytes()[:-9])
    assert list(AnswerFile(path, "key").found) == [0, 1]
    assert list(AnswerFile(path, "key").found) == [0, 1]


def test_answers_to_other_questions_do_not_count(tmp_path: Path):
    AnswerFile(tmp_path / "answers.jsonl", "key").add(ANSWERS)
    assert AnswerFile(tmp_path / "answers.jsonl", "other key").found == {}


def test_a_checkpoint_is_enough_to_continue_elsewhere(tmp_path: Path):
    file = AnswerFile(tmp_path / "a1" / "answers.jsonl", "key")
    file.add(ANSWERS[:2])
    saved = file.checkpoint(tmp_path / "a1" / "checkpoints").rename(tmp_path / "elsewhere")
    there = AnswerFile(tmp_path / "a2" / "answers.jsonl", "key", saved)
    there.add(ANSWERS[2:])
    assert list(there.found.values()) == ANSWERS
    assert list(AnswerFile(tmp_path / "a2" / "answers.jsonl", "key").found) == [0, 1, 2]


def test_only_the_newest_checkpoints_are_kept(tmp_path: Path):
    file = AnswerFile(tmp_path / "answers.jsonl", "key")
    for answer in ANSWERS:
        file.add([answer])
        file.checkpoint(tmp_path / "checkpoints")
    names = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert names == ["answers-00000002", "answers-00000003"]
