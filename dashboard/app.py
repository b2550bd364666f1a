"""The dashboard's entry: `streamlit run dashboard/app.py`. It only navigates."""

from pathlib import Path

import streamlit as st

from dashboard import language, parts, toasts
from shared.errors import NoAccount, Unauthenticated

STATIC = Path(__file__).with_name("static")
#: (page, icon, is it in the menu); the first one is the start page.
PAGES = (
    ("jobs", "view_list", True),
    ("submit", "add_circle", True),
    ("compare", "balance", True),
    ("playground", "forum", True),
    ("adapters", "extension", True),
    ("datasets", "table_rows", True),
    ("knowledge", "menu_book", True),
    ("models", "deployed_code", True),
    ("hosts", "dns", True),
    ("job", "article", False),
)


#: On the dark theme's light primary colour, white text would have a contrast of 2.6 only.
DARK_INK = """<style>
[data-testid^="stBaseButton-primary"], [data-testid^="stBaseButton-primary"] * {color: #04201B;}
</style>"""


def main() -> None:
    """Draw the frame, then the page that the address names."""
    st.set_page_config(page_title="Graft", page_icon=str(STATIC / "icon.png"), layout="wide")
    st.logo(str(STATIC / "logo.png"), size="large")
    if st.context.theme.type == "dark":
        st.html(DARK_INK)
    words = language.words()
    pages = [
        st.Page(
            f"app_pages/{name}.py",
            title=words(f"{name}.title"),
            icon=f":material/{icon}:",
            url_path="" if name == PAGES[0][0] else name,
            default=name == PAGES[0][0],
            visibility="visible" if listed else "hidden",
        )
        for name, icon, listed in PAGES
    ]
    page = st.navigation(pages, position="top")
    with parts.guard(words):
        try:
            parts.actor()
        except (Unauthenticated, NoAccount) as stranger:
            parts.ask_to_sign_in(words, stranger)
            return
        toasts.toasts(words)
        page.run()


main()
