"""The dashboard's pages drawn by Streamlit's AppTest, and what stands on them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from streamlit.testing.v1 import AppTest

import dashboard
import filled
from shared import db, jobs
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


def fill_training(app: AppTest, name: str) -> AppTest:
    """The form of a training with what it cannot do without."""
    app.text_input(key="draft.train.name").set_value(name)
    app.selectbox(key="draft.train.base_model").set_value(filled.HOST_BASE)
    app.selectbox(key="draft.train.dataset").set_value(filled.TRAINING)
    return app.run()


def send(app: AppTest, kind: str) -> AppTest:
    """Press the form's button."""
    return app.button(key=f"submit.send.{kind}").click().run()


def newest() -> Any:
    """The job that was submitted last."""
    with db.reading() as session:
        return jobs.listing(session, limit=1)[0]
