"""The dashboard's pages drawn by Streamlit's AppTest, and what stands on them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from streamlit.testing.v1 import AppTest

import dashboard
from shared.errors import Language

APP = Path(dashboard.__file__).with_name("app.py")
LOCALES: dict[Language, str] = {"en": "en-GB", "zh": "zh-CN"}

Open = Callable[..., AppTest]


def draw(
    page: str, language: Language = "en", user: dict[str, Any] | None = None, **query: str
) -> AppTest:
    """`draw("compare", "zh", name="first-look")`: a page as a visitor of that language sees it.

    `user` is what an OpenID Connect provider says of them.
    """
    app = AppTest.from_file(str(APP), default_timeout=180)
    app.context = {"locale": LOCALES[language], "timezone": "UTC"}
    if user is not None:
        app.user = user
    if page != "jobs":
        app.switch_page(f"app_pages/{page}.py")
    for name, value in query.items():
        app.query_params[name] = value
    return app.run()


def texts(app: AppTest) -> str:
    """Every text on the page, a line each."""
    kinds = ("title", "subheader", "markdown", "caption", "text", "code", "error", "info")
    more = ("success", "warning", "button", "selectbox", "number_input", "text_input")
    found = [
        str(getattr(element, "value", None) or "") for kind in kinds for element in app.get(kind)
    ]
    found += [str(getattr(each, "label", "")) for kind in more for each in app.get(kind)]
    return "\n".join(found)
