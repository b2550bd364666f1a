"""The REST API, served beside the pages by the same process: `/api/openapi.json` describes it."""

from dashboard.api.app import mounted

__all__ = ["mounted"]
