"""Requests checked before they are sent, with the words of the pool's own refusals."""

from typing import Any

from pydantic import ValidationError

from shared.errors import InvalidSpec
from shared.specs.problems import in_words


def checked(model: type[Any], data: dict[str, Any]) -> Any:
    """The request that the data make. Raises InvalidSpec naming the first wrong field."""
    try:
        return model.model_validate(data)
    except ValidationError as wrong:
        first = wrong.errors(include_url=False)[0]
        field = ".".join(map(str, first["loc"]))
        raise InvalidSpec(field=field, problem=in_words(first)) from None
