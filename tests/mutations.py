"""Which functions of `shared` change rows, and which of them ask who is acting: by reading code."""

import ast
from dataclasses import dataclass, field
from pathlib import Path

SHARED = Path(__file__).parents[1] / "shared"
#: What changes rows, as methods and as functions of SQLAlchemy.
_METHODS = {"add", "add_all", "delete", "merge", "bulk_save_objects"}
_STATEMENTS = {"insert", "update", "delete"}
#: The pool's own doing, not a person's: workers' transitions, bookkeeping, and signing in.
POOLS_OWN = {
    "shared.attempts": "attempts are written by the supervisor that holds the lease",
    "shared.audit": "seals follow the events they seal",
    "shared.bulk": "how rows are written, not whose",
    "shared.chats.write_answers": "answers are written by the supervisor that holds the lease",
    "shared.clock": "the clock",
    "shared.events": "each event names its actor",
    "shared.hopeless": "what can never run is ended by the pool",
    "shared.leases": "the five transitions; people cancel through shared.jobs",
    "shared.queued_rows": "how a submission's rows are written; the caller asks",
    "shared.results": "what an attempt made is recorded in its commit",
    "shared.judges.record": "verdicts are written in the commit of the attempt that made them",
    "shared.schema": "migrations are run by whoever holds the database",
    "shared.people.throttle": "failed sign-ins, before anybody is known",
    "shared.jobs.rehint": "hints that were lost are sent again",
    "shared.knowledge.edits.retire_due": "samples expire by the clock",
    "shared.submission.settled": "the same, before a revision is frozen",
    "shared.submission.admit_all": "looks at what is submitted; the caller asks",
    "shared.people.sessions": "signing in and out finds out who is acting",
    "shared.people.tokens.made_for": "its callers have asked who is acting",
    "shared.people.accounts.signed_in": "it finds out who is acting",
    "shared.people.tokens.actor_of_token": "it finds out who is acting",
}


@dataclass
class Function:
    """A function of a module, and what it calls by its full name."""

    name: str
    node: ast.FunctionDef
    writes: bool = False
    calls: set[str] = field(default_factory=set)

    @property
    def public(self) -> bool:
        return not any(part.startswith("_") for part in self.name.split("."))

    @property
    def takes_actor(self) -> bool:
        """Whether it wants an Actor, or a Request, which holds one."""
        args = [*self.node.args.args, *self.node.args.kwonlyargs]
        wanted = {ast.unparse(each.annotation) for each in args if each.annotation}
        return bool(wanted & {"Actor", "Request"})


def functions(root: Path = SHARED, package: str = "shared") -> dict[str, Function]:
    """Every function at the top of a module below `root`, but the command line's."""
    found: dict[str, Function] = {}
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        if parts[0] == "cli":
            continue
        module = ".".join([package, *(part for part in parts if part != "__init__")])
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = _names(tree, module)
        for node in tree.body:
            if isinstance(node, ast.FunctionDef):
                each = Function(f"{module}.{node.name}", node)
                _read(each, names)
                found[each.name] = each
    return found


def _names(tree: ast.Module, module: str) -> dict[str, str]:
    """What the names of a module stand for."""
    names = {n.name: f"{module}.{n.name}" for n in tree.body if isinstance(n, ast.FunctionDef)}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return names


def _read(each: Function, names: dict[str, str]) -> None:
    for call in ast.walk(each.node):
        if not isinstance(call, ast.Call):
            continue
        if isinstance(call.func, ast.Name):
            full = names.get(call.func.id, call.func.id)
        elif isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Name):
            owner = names.get(call.func.value.id, call.func.value.id)
            full = f"{owner}.{call.func.attr}"
        else:
            continue
        each.calls.add(full)
        last = full.rpartition(".")[2]
        if full.startswith("session.") and last in _METHODS:
            each.writes = True
        if (full.startswith(("sqlalchemy.", "sqlmodel.")) and last in _STATEMENTS) or (
            full == "shared.db.writing"
        ):
            each.writes = True


def _reaching(found: dict[str, Function], start: set[str]) -> set[str]:
    """Names from which calls lead to one of these."""
    reached = set(start)
    while True:
        more = {n for n, each in found.items() if n not in reached and each.calls & reached}
        if not more:
            return reached
        reached |= more


def _resolved(found: dict[str, Function]) -> None:
    """Calls through a package (`knowledge.add`) lead to the module that defines the function."""
    for package in sorted(SHARED.rglob("__init__.py")):
        parts = package.parent.relative_to(SHARED.parent).parts
        prefix = ".".join(parts)
        names = _names(ast.parse(package.read_text(encoding="utf-8")), prefix)
        for each in found.values():
            each.calls = {
                names.get(call.rpartition(".")[2], call)
                if call.rpartition(".")[0] == prefix
                else call
                for call in each.calls
            }


def _is_pools_own(name: str) -> bool:
    return name in POOLS_OWN or name.rpartition(".")[0] in POOLS_OWN


def peoples_changes(root: Path = SHARED, package: str = "shared") -> dict[str, Function]:
    """Public functions that change rows for people: each must ask who is acting."""
    found = functions(root, package)
    _resolved(found)
    own = {name for name, each in found.items() if _is_pools_own(name)}
    writing = {name for name, each in found.items() if each.writes and name not in own}
    reached = _reaching({n: e for n, e in found.items() if n not in own}, writing)
    # To end, begin or note something through the pool's own functions changes rows as well.
    reached |= {
        name
        for name, each in found.items()
        if name not in own and each.calls & {"shared.leases.cancel", "shared.events.record"}
    }
    return {name: found[name] for name in sorted(reached) if found[name].public}


def asking() -> set[str]:
    """Names of functions that ask `authorise`, themselves or through what they call."""
    found = functions()
    _resolved(found)
    return _reaching(found, {"shared.people.permissions.authorise"})
