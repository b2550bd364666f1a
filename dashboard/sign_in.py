"""Signing in and out by a form of its own, which can set a cookie that no script can read."""

from base64 import b64encode
from html import escape
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from dashboard.api.languages import reader
from dashboard.visitor import COOKIE
from shared.errors import GraftError, both, spoken
from shared.people import sessions

#: Bytes of a form that is read; a name and a password are far below.
_MOST = 4096
_DAY = 86_400
_WRONG = both("Name and password do not fit.", "账号或密码不正确。")
_FOREIGN = both("This form was sent from another site.", "此表单来自其他网站。")
_TITLE, _NAME = both("Sign in to Graft", "登录 Graft"), both("Name", "账号")
_PASSWORD, _BUTTON = both("Password", "密码"), both("Sign in", "登录")

_ICON = b64encode(Path(__file__).with_name("static").joinpath("icon.png").read_bytes()).decode()
#: In the colours of `.streamlit/config.toml`.
_PAGE = """<!doctype html>
<html lang="{lang}"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
:root {{ color-scheme: light dark; --page: #fff; --field: #f4f6f6; --ink: #070e0f; --edge: #dde3e3;
  --main: #0b6e5f; --on-main: #fff; font: 15px/1.5 "Source Sans 3", "Source Sans Pro", system-ui,
  "PingFang SC", "Noto Sans CJK SC", "Microsoft YaHei", sans-serif; }}
@media (prefers-color-scheme: dark) {{ :root {{ --page: #12181a; --field: #1b2427; --ink: #e4ebeb;
  --edge: #2e3a3d; --main: #2cb39c; --on-main: #04201b; }} }}
body {{ display: grid; place-items: center; min-height: 100vh; margin: 0;
  background: var(--page); color: var(--ink); }}
main {{ width: min(22rem, 90vw); box-sizing: border-box; padding: 1.75rem;
  border: 1px solid var(--edge); border-radius: 6px; }}
img {{ display: block; width: 2.5rem; height: 2.5rem; }}
h1 {{ margin: 1rem 0; font-size: 1.5rem; font-weight: 600; line-height: 1.2; }}
label {{ display: block; margin: 1rem 0 .25rem; font-size: .9rem; }}
input, button {{ width: 100%; box-sizing: border-box; padding: .5rem .75rem; font: inherit;
  border-radius: 6px; border: 1px solid var(--edge); background: var(--field); color: inherit; }}
input:focus {{ outline: 2px solid var(--main); outline-offset: -1px; }}
button {{ margin-top: 1.5rem; border: 0; background: var(--main); color: var(--on-main);
  cursor: pointer; }}
[role=alert] {{ border-left: .25rem solid #c62828; padding-left: .75rem; }}
</style></head><body><main><img src="data:image/png;base64,{icon}" alt=""><h1>{title}</h1>{problem}
<form method="post" action="/sign-in">
<label for="name">{name}</label>
<input id="name" name="name" value="{given}" autocomplete="username" required autofocus>
<label for="password">{password}</label>
<input id="password" name="password" type="password" autocomplete="current-password" required>
<button>{button}</button></form></main></body></html>"""


async def show(request: Request) -> Response:
    """The form."""
    return _page(request)


async def enter(request: Request) -> Response:
    """Name and password for a session's cookie, and on to the pages; else the form again."""
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
        return _page(request, spoken(_FOREIGN, reader(request)), status=403)
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _MOST:
            return _page(request, spoken(_WRONG, reader(request)), status=413)
    form = parse_qs(body.decode(errors="replace"))
    name, password = (form.get(field, [""])[0] for field in ("name", "password"))
    try:
        # Checking a password takes a while, by design.
        text = await run_in_threadpool(sessions.begin, name, password)
    except GraftError as refused:
        return _page(request, refused.message(reader(request)), name=name, status=429)
    if text is None:
        return _page(request, spoken(_WRONG, reader(request)), name=name, status=401)
    answer = RedirectResponse("/", status_code=303)
    answer.set_cookie(
        COOKIE, text, max_age=int(sessions.DAYS * _DAY), httponly=True, samesite="lax",
        secure=request.url.scheme == "https",
    )  # fmt: skip
    return answer


async def leave(request: Request) -> Response:
    """End the session, here and for open pages, and show the form."""
    if text := request.cookies.get(COOKIE):
        await run_in_threadpool(sessions.end, text)
    answer = RedirectResponse("/sign-in", status_code=303)
    answer.delete_cookie(COOKIE, httponly=True, samesite="lax")
    return answer


def _page(request: Request, problem: object = "", *, name: str = "", status: int = 200) -> Response:
    language = reader(request)
    said = {
        "title": _TITLE, "name": _NAME, "password": _PASSWORD, "button": _BUTTON,
    }  # fmt: skip
    text = _PAGE.format(
        lang=language, given=escape(name), icon=_ICON,
        problem=f'<p role="alert">{escape(str(problem))}</p>' if problem else "",
        **{key: spoken(words, language) for key, words in said.items()},
    )  # fmt: skip
    headers = {"cache-control": "no-store", "content-security-policy": "frame-ancestors 'none'"}
    return HTMLResponse(text, status_code=status, headers=headers)


ROUTES = [
    Route("/sign-in", show, methods=["GET"]),
    Route("/sign-in", enter, methods=["POST"]),
    Route("/sign-out", leave, methods=["GET"]),
]
