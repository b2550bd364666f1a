"""Which language a caller reads: the better of English and Chinese in Accept-Language."""

from starlette.requests import Request

from shared.errors import Language


def reader(request: Request) -> Language:
    """`zh` where Chinese is wanted more than English, else `en`."""
    wanted: dict[str, float] = {}
    for part in request.headers.get("accept-language", "").split(","):
        tag, _, parameters = part.strip().partition(";")
        primary = tag.strip().lower().split("-")[0]
        if primary in ("en", "zh"):
            wanted[primary] = max(wanted.get(primary, 0.0), _quality(parameters))
    return "zh" if wanted.get("zh", 0.0) > wanted.get("en", 0.0) else "en"


def _quality(parameters: str) -> float:
    """The q of `q=0.8`; 1 without one, 0 where it is no number."""
    name, _, value = parameters.strip().partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        return float(value)
    except ValueError:
        return 0.0
