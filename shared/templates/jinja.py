"""Templates written in Jinja, as tokenizers bring them, rendered in a sandbox with limits.

They come from people and from model folders, so they may neither reach Python nor run on: names
with underscores, unknown filters and methods are refused, and loops, calls and growth are counted.
"""

import re
import time
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

from jinja2 import StrictUndefined, TemplateError, nodes
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace
from jinja2.visitor import NodeTransformer

from shared.errors import InvalidSpec
from shared.formats.rows import Conversation

#: Characters of a source, and of what it may write for one conversation beyond the turns' own.
LONGEST_SOURCE, LONGEST_TEXT = 64_000, 1_000_000
#: Loop turns and calls of one rendering, and its seconds.
MOST_STEPS, MOST_SECONDS = 100_000, 2.0
#: Stands for the end-of-text token in what is rendered; a private character, in no text.
END = "\ue000"
_FILTERS = {
    "trim", "join", "length", "count", "tojson", "upper", "lower", "replace", "default", "d",
    "first", "last", "list", "map", "select", "selectattr", "reject", "rejectattr", "string",
    "int", "capitalize", "title", "items", "dictsort", "unique", "safe",
}  # fmt: skip
_METHODS = {
    "strip", "lstrip", "rstrip", "split", "rsplit", "startswith", "endswith", "upper", "lower",
    "title", "capitalize", "replace", "items", "keys", "values", "get", "join", "index",
    "removeprefix", "removesuffix",
}  # fmt: skip
_OPERATORS = frozenset(["*", "**", "%", "+"])


class _Sandbox(ImmutableSandboxedEnvironment):
    """Counts what a template does; every loop, call and operator passes here."""

    intercepted_binops = _OPERATORS

    def __init__(self) -> None:
        super().__init__(
            trim_blocks=True,
            lstrip_blocks=True,
            undefined=StrictUndefined,
            extensions=["jinja2.ext.loopcontrols"],
        )
        self.filters = {name: self.filters[name] for name in _FILTERS if name in self.filters}
        self.filters |= {"replace": _replaced, "join": _joined}
        self.globals = {
            "range": range, "namespace": Namespace, "raise_exception": _raised,
            "_ticking": self._ticking, "_written": _written_together,
        }  # fmt: skip
        self.steps, self.until = 0, 0.0

    def tick(self, steps: int = 1) -> None:
        """Raises SecurityError where too much was done."""
        self.steps += steps
        if self.steps > MOST_STEPS or time.monotonic() > self.until:
            raise SecurityError("it takes too long")

    def call(self, *args: Any, **kwargs: Any) -> Any:
        called = args[1]
        owner = getattr(called, "__self__", None)
        if isinstance(owner, str | bytes | list | dict) and called.__name__ not in _METHODS:
            raise SecurityError(f"it calls {called.__name__}")
        if isinstance(owner, str) and called.__name__ == "replace":
            _bounded(owner.count(str(args[2])) * len(str(args[3])))
        self.tick()
        made = super().call(*args, **kwargs)
        if isinstance(made, str):
            _bounded(len(made))
        return made

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, str) and attribute.startswith("format"):
            raise SecurityError("it calls format")
        return super().getattr(obj, attribute)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        self.tick()
        if operator == "**" or (operator == "%" and isinstance(left, str)):
            raise SecurityError(f"it uses {operator}")
        if operator == "*" and not (_is_number(left) and _is_number(right)):
            several, times = (right, left) if _is_number(left) else (left, right)
            _bounded(len(several) * int(times))
        if operator == "+" and isinstance(left, str):
            _bounded(len(left) + len(str(right)))
        return super().call_binop(context, operator, left, right)

    def _ticking(self, items: Iterable[Any]) -> Iterator[Any]:
        for item in items:
            self.tick()
            yield item


class _Watched(NodeTransformer):
    """Lets loops and joined texts go through the sandbox's counters."""

    def visit_For(self, node: nodes.For) -> nodes.Node:
        node.iter = _calling("_ticking", [node.iter])
        return self.generic_visit(node)

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        self.generic_visit(node)
        return _calling("_written", node.nodes)

    def visit_AssignBlock(self, node: nodes.AssignBlock) -> nodes.Node:
        raise SecurityError("it sets a variable to a block; use an expression")


def _calling(name: str, given: list[Any]) -> nodes.Call:
    return nodes.Call(nodes.Name(name, "load"), given, [], None, None)


def _replaced(text: Any, old: str, new: str) -> str:
    _bounded(str(text).count(old) * len(new))
    return str(text).replace(old, new)


def _joined(items: Iterable[Any], between: str = "") -> str:
    return _written_together(*(part for item in items for part in (between, item)))[len(between) :]


def _written_together(*parts: Any) -> str:
    texts = [str(part) for part in parts]
    _bounded(sum(map(len, texts)))
    return "".join(texts)


def _raised(message: str) -> str:
    raise TemplateError(message)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float)


def _bounded(size: int) -> None:
    if size > LONGEST_TEXT:
        raise SecurityError("it writes too much")


def parts_of(source: str, row: Conversation) -> list[tuple[str, bool, bool]]:
    """A conversation as (text, is an answer that is trained, the end token follows).

    Raises InvalidSpec naming what is wrong with the source.
    """
    messages = [{"role": "system", "content": row.system}] if row.system else []
    found: list[tuple[str, bool, bool]] = []
    done = ""
    for turn in row.turns:
        if turn.role == "user":
            text = f"{turn.content}\n{turn.input}" if turn.input else turn.content
            messages.append({"role": "user", "content": text})
            continue
        asked = _written(source, messages, asking=True)
        messages.append({"role": "assistant", "content": turn.content})
        whole = _written(source, messages, asking=False)
        if not (asked.startswith(done) and whole.startswith(asked)):
            raise _wrong("it writes a conversation's beginning otherwise once it goes on")
        found.append((asked[len(done) :], False, False))
        answer, mark, after = whole[len(asked) :].partition(END)
        found.append((answer, turn.trained, bool(mark) or not _closed(answer)))
        if after:
            found.append((after, False, False))
        done = whole
    if row.turns[-1].role == "user":
        asked = _written(source, messages, asking=True)
        if not asked.startswith(done):
            raise _wrong("it writes a conversation's beginning otherwise once it goes on")
        found.append((asked[len(done) :], False, False))
    return [(text.replace(END, ""), trained, ends) for text, trained, ends in found]


def _closed(answer: str) -> bool:
    """Whether an answer ends with a marker of the template's own, such as <|im_end|>."""
    return bool(re.search(r"<[|/\w][^<>\s]*>\s*$", answer))


def _written(source: str, messages: list[dict[str, str]], *, asking: bool) -> str:
    sandbox, template = _compiled(source)
    sandbox.steps, sandbox.until = 0, time.monotonic() + MOST_SECONDS
    size = sum(len(message["content"]) for message in messages)
    pieces: list[str] = []
    try:
        for piece in template.generate(
            messages=[dict(message) for message in messages], add_generation_prompt=asking,
            bos_token="", eos_token=END, tools=None, documents=None,
        ):  # fmt: skip
            pieces.append(piece)
            size -= len(piece)
            if size < -LONGEST_TEXT:
                raise SecurityError("it writes too much")
    except (TemplateError, TypeError, ValueError, KeyError, RecursionError, OverflowError) as wrong:
        raise _wrong(str(wrong) or type(wrong).__name__) from None
    return "".join(pieces)


@lru_cache(maxsize=8)
def _compiled(source: str) -> tuple[_Sandbox, Any]:
    if len(source) > LONGEST_SOURCE:
        raise _wrong(f"it is longer than {LONGEST_SOURCE} characters")
    sandbox = _Sandbox()
    try:
        tree = sandbox.parse(source)
        tree = _Watched().visit(tree)
        tree.set_environment(sandbox)
        code = sandbox.compile(tree)
        made = sandbox.template_class.from_code(sandbox, code, sandbox.make_globals(None))
    except (TemplateError, RecursionError) as wrong:
        raise _wrong(str(wrong) or "nested too deeply") from None
    return sandbox, made


def _wrong(problem: str) -> InvalidSpec:
    return InvalidSpec(field="template", problem=f"the Jinja template cannot be used: {problem}")
