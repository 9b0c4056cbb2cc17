"""Writes the results of a loop: `summary.json` for programs, `report.html` for people."""

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from components.jsonl import read_rows
from components.llm_evaluator.verdicts import VerdictRow
from pipeline.files import read_text
from pipeline.report.page import render_page

__all__ = ["render_page", "write_results"]

_VERDICTS_FILE = "verdicts.jsonl"


def write_results(summary: Mapping[str, Any], *, summary_file: Path, report_file: Path) -> None:
    """Write both files; a reader sees the old or the new content, never a half.

    Args:
        summary: What `make_summary` returns. The report shows the verdicts of its best round.
        summary_file: Gets the summary as JSON.
        report_file: Gets a page that needs no other file and no network.

    Raises:
        OSError: A file cannot be written, or the verdicts cannot be read.
        UserError: The verdicts are damaged.
    """
    best = next(r for r in summary["rounds"] if r["round"] == summary["best_round"])
    uri = f"{best['artifacts']['report']}/{_VERDICTS_FILE}"
    verdicts = read_rows(read_text(uri), uri, VerdictRow.from_json)
    page = render_page(summary, verdicts)
    _replace(summary_file, json.dumps(summary, indent=2, ensure_ascii=False) + "\n")
    _replace(report_file, page)


def _replace(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", dir=path.parent, prefix=f".{path.name}.", delete=False
    ) as file:
        try:
            file.write(text)
            file.flush()
            os.chmod(file.name, 0o644)  # a temporary file is its owner's alone
            os.replace(file.name, path)
        except BaseException:
            os.unlink(file.name)
            raise
