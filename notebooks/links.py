"""Points the notebooks at your copy of this repository: `python -m notebooks.links URL`.

The badges below each title and the first cell, which clones, name the repository; this command is
the one place that writes them.
"""

import argparse
import re
import urllib.parse
from collections.abc import Sequence
from pathlib import Path

import nbformat
from nbformat import NotebookNode

_FOLDER = Path(__file__).resolve().parent
_GITHUB = re.compile(r"^https://github\.com/([\w.-]+)/([\w.-]+?)(?:\.git)?/?$")
_ASSIGNMENT = re.compile(r'^REPOSITORY_URL = ".*"$', re.MULTILINE)
_COLAB_BADGE = "https://colab.research.google.com/assets/colab-badge.svg"
_WORKBENCH = "https://console.cloud.google.com/vertex-ai/workbench/deploy-notebook"
BADGES_TAG = "badges"
SETUP_TAG = "setup"


def badges(owner: str, repository: str, notebook: str) -> str:
    """Links that open a notebook of a GitHub repository, in Markdown.

    Args:
        owner: The repository's owner.
        repository: Its name.
        notebook: File name of the notebook.

    Reference:
        https://github.com/googlecolab/colabtools#readme and the links of
        https://github.com/GoogleCloudPlatform/vertex-ai-samples.
    """
    path = f"main/notebooks/{notebook}"
    colab = f"https://colab.research.google.com/github/{owner}/{repository}/blob/{path}"
    raw = f"https://raw.githubusercontent.com/{owner}/{repository}/{path}"
    workbench = f"{_WORKBENCH}?download_url={urllib.parse.quote(raw, safe='')}"
    return (
        f"[![Open in Colab]({_COLAB_BADGE})]({colab}) · [Open in Vertex AI Workbench]({workbench})"
    )


def point_to(notebook: NotebookNode, file_name: str, url: str) -> None:
    """Write a repository's URL into a notebook's badges and its first cell.

    Args:
        notebook: Is changed.
        file_name: The notebook's file.
        url: `https://github.com/OWNER/REPOSITORY`.

    Raises:
        SystemExit: The URL is of another form: Colab opens notebooks of GitHub only.
    """
    match = _GITHUB.match(url)
    if not match:
        raise SystemExit(
            f"{url!r} is no GitHub repository. Write https://github.com/OWNER/REPOSITORY; for a "
            "repository elsewhere, set REPOSITORY_URL in the first cell of the notebook you open."
        )
    owner, name = match.groups()
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", ())
        if BADGES_TAG in tags:
            cell.source = badges(owner, name, file_name)
        if SETUP_TAG in tags:
            line = f'REPOSITORY_URL = "https://github.com/{owner}/{name}"'
            cell.source = _ASSIGNMENT.sub(line, cell.source)


def main(argv: Sequence[str] | None = None) -> None:
    """Write the URL into all notebooks."""
    parser = argparse.ArgumentParser(prog="links", description=__doc__)
    parser.add_argument("url", help="https://github.com/OWNER/REPOSITORY")
    url = parser.parse_args(argv).url
    for file in sorted(_FOLDER.glob("[0-9]*.ipynb")):
        notebook = nbformat.read(file, as_version=4)
        point_to(notebook, file.name, url)
        nbformat.write(notebook, file)
        print(file.name)


if __name__ == "__main__":
    main()
