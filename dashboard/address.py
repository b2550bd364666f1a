"""What stands in the page's address: canonical codes and names, so links work in any language.

Each page keeps what was chosen on it for the session; a link that brings other values goes first.
"""

from collections.abc import Sequence

import streamlit as st


def seed(page: str, name: str, allowed: Sequence[str]) -> str:
    """Give a multi-choice widget the codes of `?name=a&name=b`; return the widget's key."""
    key = _key(page, name)
    brought = arrived(page, name)
    if brought or key not in st.session_state:
        st.session_state[key] = [code for code in brought if code in allowed]
    return key


def seed_one(page: str, name: str, allowed: Sequence[str]) -> str:
    """Give a single-choice widget the code of `?name=`, else the first one; return its key."""
    key = _key(page, name)
    asked = next((code for code in arrived(page, name) if code in allowed), None)
    if asked is not None or key not in st.session_state:
        st.session_state[key] = asked or allowed[0]
    return key


def seed_text(page: str, name: str) -> str:
    """Give a text widget the text of `?name=`; return the widget's key."""
    key = _key(page, name)
    brought = arrived(page, name)
    if brought or key not in st.session_state:
        st.session_state[key] = brought[0] if brought else ""
    return key


def keep(page: str, name: str, values: Sequence[str]) -> None:
    """Write values into the address, or take the name out where there are none."""
    st.session_state[_written(page, name)] = list(values)
    if list(values) == st.query_params.get_all(name):
        return
    if values:
        st.query_params[name] = list(values)
    else:
        del st.query_params[name]


def go(**names: str) -> None:
    """Show the same page for other names: `go(name="first")`, or the list with none."""
    st.query_params.from_dict(names)


def _key(page: str, name: str) -> str:
    return f"address.{page}.{name}"


def _written(page: str, name: str) -> str:
    return f"address.written.{page}.{name}"


def arrived(page: str, name: str) -> list[str]:
    """What a link brought: the address's values, unless this page wrote them there itself."""
    present = st.query_params.get_all(name)
    return [] if present == st.session_state.get(_written(page, name)) else present
