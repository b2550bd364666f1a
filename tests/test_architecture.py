"""The promises of ARCHITECTURE.md, as tests."""

import ast
import re
import string
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import get_args

import grimp
import networkx
import pytest

import mutations
from shared import errors
from shared.errors import GraftError
from shared.families import FAMILIES
from shared.specs import FUSION_METHODS, SPECS
from shared.specs.base import Spec

CHECKOUT = Path(__file__).parents[1]
PACKAGES = ("shared", "worker", "dashboard", "infra")
CODE = sorted(
    path
    for folder in (*PACKAGES, "graft", "tests", "benchmarks")
    for path in (CHECKOUT / folder).rglob("*.py")
)
#: Flat lists, one entry after another, that nobody reads from top to bottom.
LISTS = {"shared/starter/sentences.py"}
#: Lines; a test file may tell a longer story than a module.
LONGEST = 300
LONGEST_TEST = 400
CHINESE = re.compile(r"[\u4e00-\u9fff]")


def _name(path: Path) -> str:
    return path.relative_to(CHECKOUT).as_posix()


def _tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=CHECKOUT, capture_output=True, text=True, check=True
    )
    return [CHECKOUT / name for name in listed.stdout.split("\0") if name]


# --- imports ------------------------------------------------------------------------------------


def test_the_import_contracts_hold() -> None:
    program = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([program, "--no-cache"], cwd=CHECKOUT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_modules_import_each_other_in_a_circle() -> None:
    imports = grimp.build_graph(
        *PACKAGES, "graft", exclude_type_checking_imports=True, cache_dir=None
    )
    graph = networkx.DiGraph(
        (module, imported)
        for module in imports.modules
        for imported in imports.find_modules_directly_imported_by(module)
    )
    assert graph.number_of_edges() > 100
    circles = [sorted(part) for part in networkx.strongly_connected_components(graph)]
    assert [circle for circle in circles if len(circle) > 1] == []


def test_the_packages_belong_to_graft_alone() -> None:
    owners = packages_distributions()
    for package in PACKAGES:
        assert set(owners[package]) == {"graft"}, package


def test_no_file_beside_the_dashboard_hides_a_package() -> None:
    # Streamlit puts this folder first on the import path.
    taken = {*PACKAGES, "tests", "celery", "streamlit", "redis", "altair", "sqlmodel", "json"}
    beside = {path.stem for path in (CHECKOUT / "dashboard").iterdir()}
    assert beside & (taken | (sys.stdlib_module_names - {"__main__"})) == set()


def test_no_folder_of_tests_is_a_package() -> None:
    assert list((CHECKOUT / "tests").rglob("__init__.py")) == []


# --- files --------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", CODE, ids=_name)
def test_a_module_says_what_it_is_for_and_is_short(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert ast.get_docstring(ast.parse(text)), "it has no docstring"
    if _name(path) not in LISTS:
        assert text.count("\n") <= (LONGEST_TEST if path.name.startswith("test_") else LONGEST)
    drawers = {"utils", "helpers", "common", "misc", "manager"}
    assert not drawers & set(path.stem.split("_"))


def test_slow_tests_are_where_make_looks_for_them() -> None:
    found = re.search(r"^SLOW_TESTS := (.+)$", (CHECKOUT / "Makefile").read_text(), re.MULTILINE)
    assert found is not None
    slow = re.compile(r"\bmark\.(journey|chaos|browser)\b")
    marked = [
        _name(path)
        for path in (CHECKOUT / "tests").rglob("*.py")
        if slow.search(path.read_text("utf-8"))
    ]
    assert marked
    assert [name for name in marked if not name.startswith(tuple(found[1].split()))] == []


def test_no_file_names_a_machine_or_a_registry() -> None:
    ours = re.compile(
        "|".join(
            [
                r"(?<![\w.])/(work|root(?!/\.cache/pip)|opt/pypi|opt/wheels)/",
                r"/home/(?!graft)\w",
                r"pypi\.org|pythonhosted\.org|download\.pytorch|ghcr\.io|docker\.io|quay\.io",
            ]
        )
    )
    for path in _tracked():
        if path == Path(__file__) or not path.is_file():
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        assert (found := ours.search(text)) is None, f"{_name(path)}: {found}"


def test_only_the_five_transitions_write_a_jobs_state_or_epoch() -> None:
    writers = set()
    for path in CODE:
        if path.parts[-2] == "tests" or "tests" in path.relative_to(CHECKOUT).parts:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if _writes_state(node):
                writers.add(_name(path))
    assert writers == {"shared/leases.py"}


def test_whatever_changes_rows_for_people_asks_who_is_acting() -> None:
    found, asks = mutations.peoples_changes(), mutations.asking()
    assert {"shared.jobs.cancel", "shared.knowledge.edits.add", "shared.votes.cast"} <= set(found)
    assert [name for name, each in found.items() if not each.takes_actor] == []
    assert [name for name in found if name not in asks] == []
    known = {*mutations.functions(), *(n.rpartition(".")[0] for n in mutations.functions())}
    assert [name for name in mutations.POOLS_OWN if name not in known] == []


def test_pages_and_commands_change_rows_through_those_functions_only() -> None:
    around = re.compile(
        r"session\.(add|delete|merge)\("
        r"|import .*\b(leases|insert|update|delete)\b"
    )
    for path in CODE:
        if _name(path).startswith(("dashboard/", "shared/cli/")):
            assert (hit := around.search(path.read_text("utf-8"))) is None, (path, hit)


def _writes_state(node: ast.AST) -> bool:
    """`job.state = ...`, or `.values(state=...)` of an UPDATE."""
    if isinstance(node, ast.Assign):
        names = [target.attr for target in node.targets if isinstance(target, ast.Attribute)]
        owners = [t.value for t in node.targets if isinstance(t, ast.Attribute)]
        return any(
            name in ("state", "epoch") and isinstance(owner, ast.Name) and owner.id == "job"
            for name, owner in zip(names, owners, strict=True)
        )
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        updates = node.func.attr == "values" and "update" in ast.dump(node.func.value)
        return updates and any(word.arg in ("state", "epoch") for word in node.keywords)
    return False


# --- words in two languages ---------------------------------------------------------------------


def _errors(cls: type[GraftError] = GraftError) -> list[type[GraftError]]:
    return [cls] + [found for child in cls.__subclasses__() for found in _errors(child)]


def _fields(template: str) -> set[str]:
    return {field for _, field, _, _ in string.Formatter().parse(template) if field}


@pytest.mark.parametrize("error", _errors(), ids=lambda error: error.__name__)
def test_an_error_says_the_same_in_both_languages(error: type[GraftError]) -> None:
    english = " ".join((error.__doc__ or "").split())
    assert english
    assert _fields(english) == _fields(error.zh)
    if english != "{detail}":
        assert CHINESE.search(error.zh) or not re.sub(r"\{\w+\}", "", error.zh).strip("：，。 ")
        assert error.zh is error.__dict__.get("zh"), "it inherits another error's Chinese"


def test_errors_are_declared_in_one_folder_and_have_names_of_their_own() -> None:
    found = _errors()
    assert {error.__module__.rpartition(".")[0] for error in found} == {errors.__name__}
    assert {error.__name__ for error in found} <= set(errors.__all__)
    assert len({error.code() for error in found}) == len(found)


def _parameters() -> list[tuple[str, str]]:
    discriminators = {"kind", "method", "params"}
    specs: list[type[Spec]] = [*SPECS.values(), *FUSION_METHODS.values()]
    return [
        (spec.__name__, name)
        for spec in specs
        for name in spec.model_fields
        if name not in discriminators
    ]


@pytest.mark.parametrize(("spec", "name"), _parameters())
def test_a_parameter_has_a_title_and_help_in_both_languages(spec: str, name: str) -> None:
    classes = {each.__name__: each for each in (*SPECS.values(), *FUSION_METHODS.values())}
    field = classes[spec].model_fields[name]
    extra = field.json_schema_extra
    assert isinstance(extra, dict)
    title, text = extra["zh"]  # type: ignore[misc]
    assert field.title
    assert (field.description or "").endswith(".")
    assert title
    assert CHINESE.search(str(text))


# --- plug-in points: offered == implemented -----------------------------------------------------


def test_every_fusion_method_that_is_offered_is_implemented() -> None:
    from worker.fusion import METHODS

    assert set(METHODS) == set(FUSION_METHODS.values())


def test_every_benchmark_shape_that_is_offered_is_implemented() -> None:
    from shared.metrics import Shape
    from worker.evaluation import SHAPES

    assert set(SHAPES) == set(get_args(Shape))


def test_every_family_is_listed_under_its_name_and_no_architecture_twice() -> None:
    assert {name: family.name for name, family in FAMILIES.items()} == {n: n for n in FAMILIES}
    architectures = [name for family in FAMILIES.values() for name in family.architectures]
    assert len(set(architectures)) == len(architectures)
