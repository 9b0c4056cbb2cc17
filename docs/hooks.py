"""Extends mkdocs: lists decisions, writes reference pages, and links to the code."""

import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

from pipeline.cli.explain import settings_page
from pipeline.cli.parser import command_pages

_LOG = logging.getLogger("mkdocs.hooks")
_DECISIONS = "Decisions"
_COMMANDS = "commands"
_LIST_MARK = "<!-- the decisions -->"
_FENCE = re.compile(r"^ *(```|~~~)")
# Of notebooks that `python -m notebooks.links` has not pointed at a repository: they lead nowhere.
_NO_BUTTONS = re.compile(r"^\[Open in Colab\]\(\S*/your-organization/.*\n", re.MULTILINE)
_LINK = re.compile(r"(?<!!)\[([^]]*)\]\(([^)\s:#]+)(#[^)\s]*)?\)")


def on_config(config: Any) -> Any:
    """Put every decision and every command into the navigation, in order."""
    for entry in config["nav"]:
        for part in entry.get("Run it", ()) if isinstance(entry, dict) else ():
            if isinstance(part, dict) and "Commands" in part:
                part["Commands"] = [f"{_COMMANDS}/{name}" for name in command_pages()]
        if isinstance(entry, dict) and _DECISIONS in entry:
            entry[_DECISIONS] = ["decisions/index.md", *_decisions(Path(config["docs_dir"]))]
    return config


def on_files(files: Any, *, config: Any) -> Any:
    """Add the pages that are written from the code: settings and commands."""
    commands = {f"{_COMMANDS}/{name}": text for name, text in command_pages().items()}
    for name, text in {"settings.md": settings_page(), **commands}.items():
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Any) -> str:
    """Resolve what mkdocs cannot: links to files of the repository outside of docs/.

    On GitHub they work as they are. In the site they become links to the repository where
    `REPOSITORY_URL` tells it, else plain text; a file that does not exist is a warning, which fails
    a strict build.
    """
    docs = Path(config["docs_dir"])
    folder = docs / Path(page.file.src_uri).parent

    def resolved(match: re.Match[str]) -> str:
        text, target, _ = match.groups()
        path = Path(os.path.normpath(folder / target))
        if path.is_relative_to(docs):
            return match.group(0)
        if not path.exists():
            _LOG.warning("%s links to %s, which does not exist.", page.file.src_uri, target)
        url = config["extra"]["repository_url"].rstrip("/")
        return f"[{text}]({url}/blob/main/{path.relative_to(docs.parent)})" if url else text

    if page.file.src_uri == "decisions/index.md":
        pages = (docs / uri for uri in _decisions(docs))
        lines = [f"- [{_title(path)}]({path.name})" for path in pages]
        markdown = markdown.replace(_LIST_MARK, "\n".join(lines))
    markdown = _NO_BUTTONS.sub("", markdown)
    return "\n".join(
        line if is_code else _LINK.sub(resolved, line) for line, is_code in _lines(markdown)
    )


def _decisions(docs: Path) -> list[str]:
    return [path.relative_to(docs).as_posix() for path in sorted(docs.glob("decisions/[0-9]*.md"))]


def _title(path: Path) -> str:
    return path.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")


def _lines(markdown: str) -> Iterator[tuple[str, bool]]:
    """Lines, and whether they are of a block of code."""
    is_code = False
    for line in markdown.split("\n"):
        is_fence = bool(_FENCE.match(line))
        yield line, is_code or is_fence or line.startswith("    ")
        is_code ^= is_fence
