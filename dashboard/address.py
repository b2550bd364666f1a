"""What stands in the page's address: canonical codes and names, so links work in any language."""

from collections.abc import Sequence

import streamlit as st


def seed(name: str, allowed: Sequence[str]) -> str:
    """Give a multi-choice widget its first value from `?name=a&name=b`; return the widget's key."""
    key = f"address.{name}"
    if key not in st.session_state:
        asked = st.query_params.get_all(name)
        st.session_state[key] = [code for code in asked if code in allowed]
    return key


def seed_text(name: str) -> str:
    """Give a text widget its first value from `?name=`; return the widget's key."""
    key = f"address.{name}"
    if key not in st.session_state:
        st.session_state[key] = st.query_params.get(name, "")
    return key


def keep(name: str, values: Sequence[str]) -> None:
    """Write values into the address, or take the name out where there are none."""
    present = st.query_params.get_all(name)
    if list(values) == present:
        return
    if values:
        st.query_params[name] = list(values)
    else:
        del st.query_params[name]


def go(**names: str) -> None:
    """Show the same page for other names: `go(name="first")`, or the list with none."""
    st.query_params.from_dict(names)
