"""The theme of all pages: one style, one frame, one script."""

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path

from markupsafe import Markup

from reports.charts import COLORS
from reports.rendering import render

_SHARED = Path(__file__).parent / "templates"
FILTER = _SHARED / "filter.js"
LATER = _SHARED / "later.js"


def render_page(
    template: Path, *further: Path, scripts: Sequence[Path] = (FILTER,), **values: object
) -> str:
    """Render an HTML page with style and script inside.

    Everything in it that a model or a user wrote is escaped, and the page's own policy allows only
    its own style and script, named by their hashes.

    Args:
        template: The page's template, which extends `base.html.j2`.
        *further: Folders of templates that it includes, besides its own and the shared ones.
        scripts: The page's scripts, in order; default is the shared filter of rows.
        **values: Its variables.
    """
    style, code, refresh = (
        "\n".join(file.read_text("utf-8") for file in files)
        for files in ((COLORS, _SHARED / "style.css"), scripts, (_SHARED / "refresh.js",))
    )
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
