"""The dashboard's pages and its API, from one process at one address."""

from pathlib import Path

import streamlit as st

from dashboard import downloads
from dashboard.api import mounted
from dashboard.sign_in import ROUTES

#: `streamlit run` finds this name and serves it.
app = st.App(
    Path(__file__).with_name("app.py"), routes=[mounted(), *ROUTES], lifespan=downloads.kept
)
