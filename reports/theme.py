"""The theme of all pages: one style, one frame, one script."""

import base64
import hashlib
from pathlib import Path

from markupsafe import Markup

from reports.rendering import render

_SHARED = Path(__file__).parent / "templates"


def render_page(
    template: Path, *further: Path, script: Path | None = None, **values: object
) -> str:
    """Render an HTML page with style and script inside.

    Everything in it that a model or a user wrote is escaped, and the page's own policy allows only
    its own style and script, named by their hashes.

    Args:
        template: The page's template, which extends `base.html.j2`.
        *further: Folders of templates that it includes, besides its own and the shared ones.
        script: The page's script; default is the shared filter of rows.
        **values: Its variables.
    """
    files = (_SHARED / "style.css", script or _SHARED / "filter.js", _SHARED / "refresh.js")
    style, code, refresh = (file.read_text("utf-8") for file in files)
    return render(
        template,
        *further,
        _SHARED,
        style=Markup(style),
        script=Markup(code),
        style_hash=_hash(style),
        script_hash=_hash(code),
        refresh_script=Markup(refresh),
        refresh_hash=_hash(refresh),
        **values,
    )


def _hash(source: str) -> str:
    """Return the hash by which a Content-Security-Policy allows an inline script or style."""
    digest = hashlib.sha256(source.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"
