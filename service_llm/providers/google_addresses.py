"""Where Google serves Gemini."""

from service_llm.settings import ServiceLLMSettings

STUDIO_URL = "https://generativelanguage.googleapis.com"
_VERTEX_URLS = {  # https://docs.cloud.google.com/vertex-ai/generative-ai/docs/learn/locations
    "global": "https://aiplatform.googleapis.com",
    "us": "https://aiplatform.us.rep.googleapis.com",
    "eu": "https://aiplatform.eu.rep.googleapis.com",
}
_VERTEX_REGION_URL = "https://{}-aiplatform.googleapis.com"


def vertex_url(location: str) -> str:
    """Return the address of Vertex AI in a region, a multi-region, or `global`."""
    return _VERTEX_URLS.get(location, _VERTEX_REGION_URL.format(location))


def url_of(settings: ServiceLLMSettings) -> str:
    """Return the address to ask; google-genai would take it from GOOGLE_GEMINI_BASE_URL and such.

    Raises:
        UserError: It is to be read from the environment, and cannot be.
    """
    if url := settings.resolved_base_url():
        return url
    return vertex_url(settings.vertex_location) if settings.vertex_project else STUDIO_URL
