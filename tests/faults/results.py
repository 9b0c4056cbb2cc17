"""What a run has brought, as far as two runs that do the same must agree."""

import json
from pathlib import Path

from core.reports.loop import LoopSummary

HUB = Path("output", "hub")


def result_of(folder):
    """What a run's only round has brought, was pushed and has cost."""
    summary = summary_of(folder)
    (entry,) = summary.rounds
    report = folder / entry.artifacts.report
    training = entry.training
    return {
        "stop_reason": summary.stop_reason,
        "rates": entry.report.models,
        "blessed": entry.blessed,
        "usage": entry.usage,
        "synthesis": entry.synthesis,
        "verdicts": (report / "verdicts.jsonl").read_text(encoding="utf-8"),
        "losses": (training.losses, training.eval_losses, training.eval_loss),
        "files of the blessing": sorted(p.name for p in blessing_of(report).iterdir()),
        "dataset": files_of(folder / HUB / "datasets"),
        "files of the model": sorted(files_of(folder / HUB / "models")),
    }


def summary_of(folder):
    """`summary.json`."""
    return LoopSummary.read(str(folder / "output" / "summary.json"))


def blessing_of(report):
    """The folder of the blessing beside a report's."""
    return report.parent.parent / "blessing" / report.name


def files_of(kind):
    """The files of the only repository's `main`, by their paths in it."""
    (main,) = kind.glob("*/*/main")
    return {str(p.relative_to(main)): p.read_bytes() for p in main.rglob("*") if p.is_file()}


def journal_of(folder):
    """The journal's lines that can be read."""
    lines = [
        line
        for path in sorted((folder / "output" / "journal").glob("*.jsonl"))
        for line in path.read_bytes().split(b"\n")
    ]
    return [json.loads(line) for line in lines if line.endswith(b"}")]
