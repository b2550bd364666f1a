"""Forms drawn from the specs: a widget for each parameter, and back to the values of a spec."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st
from pydantic import BaseModel

from dashboard import filling
from dashboard.language import Words
from dashboard.queries import Choice
from shared.specs.parameters import Parameter, parameters

#: What a form offers for a parameter: by `Parameter.picks`, or by its name, which goes first.
Offers = Mapping[str, Sequence[Choice]]
#: What may also be typed: `a:2,b:1`, `notes@3`.
_TYPED = ("mixture", "knowledge")


class Form:
    """One spec being filled in; what was typed stays until the session ends."""

    def __init__(
        self, spec: type[BaseModel], prefix: str, words: Words, offers: Offers,
        varied: Mapping[str, Sequence[Any]] | None = None,
    ) -> None:  # fmt: skip
        self.spec = spec
        self.prefix = prefix
        self.words = words
        self.offers = offers
        #: Fields that get several values elsewhere, and these; the first one stands for them.
        self.varied = varied or {}
        #: Titles of required parameters that have no value yet.
        self.missing: list[str] = []

    def key(self, name: str) -> str:
        """The session key of a parameter's widget."""
        return f"draft.{self.prefix}.{name}"

    def put(self, values: Mapping[str, Any]) -> None:
        """Set what the form shows; parameters without a value here and not picked get defaults."""
        self.fill({each.name: values.get(each.name) for each in parameters(self.spec)
                   if not (each.required or each.picks)})  # fmt: skip

    def fill(self, values: Mapping[str, Any]) -> list[str]:
        """Set the fields that these values name, None for the default; what no field can hold.

        A field whose value cannot be, or names what is not there, gets its default.
        """
        declared = {each.name: each for each in parameters(self.spec)}
        left = [f"{name}: {value}" for name, value in values.items() if name not in declared]
        for name, value in values.items():
            if (each := declared.get(name)) is None:
                continue
            try:
                kept, gone = self._there(each, filling.held(each, value))
            except (ValueError, TypeError, OverflowError):
                kept, gone = filling.blank(each), [str(value)]
            st.session_state[self.key(name)] = kept
            left += [f"{each.title(self.words.language)}: {some}" for some in gone]
        return left

    def _there(self, parameter: Parameter, value: Any) -> tuple[Any, list[str]]:
        """The value without names that the form does not offer, and those names."""
        offered = self.offers.get(parameter.picks or "")
        if not parameter.picks or parameter.picks in _TYPED or offered is None or not value:
            return value, []
        names = {choice.name for choice in offered}
        if parameter.many:
            return [name for name in value if name in names], [n for n in value if n not in names]
        return (value, []) if value in names else (None, [value])

    def basic(
        self, *, leave_out: Sequence[str] = (), only_one: Sequence[str] = ()
    ) -> dict[str, Any]:
        """Draw the parameters everybody looks at; return the values."""
        shown = [
            each
            for each in parameters(self.spec)
            if each.group == "basic" and each.name not in leave_out
        ]
        return self._grid(shown, only_one)

    def advanced(self) -> dict[str, Any]:
        """Draw the other parameters; return the values."""
        return self._grid([each for each in parameters(self.spec) if each.group == "advanced"], ())

    def _grid(self, shown: Sequence[Parameter], only_one: Sequence[str]) -> dict[str, Any]:
        values: dict[str, Any] = {}
        with st.grid(min_column_width=250, gap="small", vertical_alignment="top"):
            for each in shown:
                value = self._widget(each, 1 if each.name in only_one else None)
                if each.name in self.varied:
                    value = next(iter(self.varied[each.name]), None)
                if value is None or (each.required and value in ("", [])):
                    if each.required:
                        self.missing.append(each.title(self.words.language))
                else:
                    values[each.name] = value
        return values

    def _widget(self, parameter: Parameter, most: int | None) -> Any:
        offered = self.offers.get(parameter.name, self.offers.get(parameter.picks or ""))
        common: dict[str, Any] = {
            "label": self._label(parameter),
            "key": self.key(parameter.name),
            "help": self._help(parameter),
            "persist_state": "session",
            "disabled": parameter.name in self.varied,
        }
        if offered is not None:
            return self._picker(parameter, offered, common, most)
        if parameter.many and not parameter.choices:
            return self._list(parameter, common)
        if parameter.choices:
            common["format_func"] = self.words.codes(f"choice.{parameter.name}")
            if parameter.many:
                common["placeholder"] = self.words("submit.choose")
                return st.multiselect(
                    options=parameter.choices, default=parameter.default or [], **common
                )
            index = parameter.choices.index(parameter.default) if parameter.default else 0
            return st.selectbox(options=parameter.choices, index=index, **common)
        if parameter.type is bool:
            return st.toggle(value=bool(parameter.default), **common)
        if parameter.type in (int, float):
            return _number(parameter, common)
        return st.text_input(
            value=parameter.default or "", placeholder=self.words("submit.text"), **common
        )

    def _label(self, parameter: Parameter) -> str:
        unit = self.words.code("unit", parameter.unit) if parameter.unit else ""
        title = parameter.title(self.words.language)
        mark = " \\*" if parameter.required else ""
        named = not unit or title.lower() == unit.lower()
        return (title if named else f"{title} ({unit})") + mark

    def _help(self, parameter: Parameter) -> str:
        """Its help, its limits, and the flag that sets it on the command line."""
        limits = _limits(parameter)
        text = parameter.help(self.words.language)
        return f"{text}\n\n`{parameter.flag}`{'  ' + limits if limits else ''}"

    def _picker(
        self, parameter: Parameter, offered: Sequence[Choice], common: dict[str, Any],
        most: int | None,
    ) -> Any:  # fmt: skip
        names = [choice.name for choice in offered]
        common["format_func"] = self._shown(offered)
        common["placeholder"] = self.words("submit.choose" if names else "submit.none")
        if parameter.picks not in _TYPED:
            _forget_gone(common["key"], names)
        if parameter.many:
            return st.multiselect(options=names, max_selections=most, **common)
        index = names.index(parameter.default) if parameter.default in names else None
        if parameter.picks in _TYPED:
            held = st.session_state.get(common["key"])
            names += [held] if held and held not in names else []
            common["accept_new_options"] = True
        return st.selectbox(options=names, index=index, **common)

    def _shown(self, offered: Sequence[Choice]) -> Any:
        coming = self.words("submit.coming")
        labels = {
            choice.name: " · ".join(
                part for part in (choice.name, choice.note, coming if choice.coming else "") if part
            )
            for choice in offered
        }
        return lambda name: labels.get(name, name)

    def _list(self, parameter: Parameter, common: dict[str, Any]) -> Any:
        """Several values typed into one field, with commas between them."""
        written = ", ".join(str(value) for value in parameter.default or [])
        typed = st.text_input(value=written, placeholder=self.words("submit.list"), **common)
        return filling.typed(typed)


def fold(words: Words, key: str, *forms: Form) -> dict[str, Any]:
    """The advanced parameters of forms in one fold, by the form's prefix."""
    with st.expander(words("submit.advanced"), icon=":material/tune:", key=f"draft.{key}.advanced"):
        return {form.prefix: form.advanced() for form in forms}


def _forget_gone(key: str, names: Sequence[str]) -> None:
    """Take names out of a draft that the form no longer offers."""
    held = st.session_state.get(key)
    if isinstance(held, list):
        kept = [name for name in held if name in names]
        if kept != held:
            st.session_state[key] = kept
    elif held is not None and held not in names:
        st.session_state[key] = None


def _number(parameter: Parameter, common: dict[str, Any]) -> Any:
    kind = parameter.type
    low, high = (
        None if bound is None else kind(bound) for bound in (parameter.minimum, parameter.maximum)
    )
    value = None if parameter.default is None else kind(parameter.default)
    step: int | float = 1 if kind is int else _step(parameter.default)
    shape = None if kind is int else "%g"
    return st.number_input(
        min_value=low, max_value=high, value=value, step=step, format=shape, **common
    )


def _step(default: float | None) -> float:
    """A tenth of the default's magnitude: 2e-4 goes by 1e-5, 3 by 0.1."""
    if not default:
        return 0.01
    return float(10.0 ** (math.floor(math.log10(abs(default))) - 1))


def _limits(parameter: Parameter) -> str:
    low, high = parameter.minimum, parameter.maximum
    if low is not None and high is not None:
        return f"{low:g} – {high:g}"
    if low is not None:
        return f"≥ {low:g}"
    return f"≤ {high:g}" if high is not None else ""
