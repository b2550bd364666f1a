"""What engines write into a job's log can be read in both languages."""

import ast
from collections.abc import Iterator
from pathlib import Path

import worker

ENGINES = ("training", "fusion", "evaluation", "checkpoints.py")


def lines_of_one_language(source: str) -> Iterator[int]:
    """Numbers of the lines on which a log is given a text and not `both(en, zh)`."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        said = node.args[0] if node.func.attr == "log" and node.args else None
        if isinstance(said, ast.Call) and isinstance(said.func, ast.Attribute):
            said = said.func.value  # "...".format(...)
        if isinstance(said, ast.JoinedStr | ast.Constant) and not _is_number(said):
            yield node.lineno


def _is_number(node: ast.JoinedStr | ast.Constant) -> bool:
    return isinstance(node, ast.Constant) and not isinstance(node.value, str)


def test_the_engines_log_in_both_languages() -> None:
    root = Path(worker.__file__).parent
    files = [path for name in ENGINES for path in (root / name).rglob("*.py")]
    files += [root / name for name in ENGINES if name.endswith(".py")]
    assert len(files) > 20
    found = {
        f"{path.relative_to(root)}:{line}"
        for path in files
        for line in lines_of_one_language(path.read_text(encoding="utf-8"))
    }
    assert found == set()


def test_a_line_of_one_language_would_be_found() -> None:
    source = 'report.log("a")\nreport.log(f"{b}")\nself._report.log("{}".format(c), "warning")\n'
    assert list(lines_of_one_language(source)) == [1, 2, 3]
    assert list(lines_of_one_language('report.log(both("a", "b"))\nmath.log(2)')) == []
