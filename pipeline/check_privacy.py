"""What `check` says of personal data."""

from collections import Counter
from collections.abc import Sequence

from core.conversation import transcript
from core.records import CoverageRow
from pipeline.config import Config
from task.privacy import PrivacySettings, find


def privacy_lines(rows: Sequence[CoverageRow], config: Config, listed: int | None) -> list[str]:
    """Return what personal data was found, without quoting it, and what happens to it.

    Args:
        rows: Of the coverage dataset, and those that are trained on.
        config: The configuration of a run.
        listed: Rows named at most; None for all.
    """
    settings = config.privacy
    in_task = sorted({finding.kind for finding in find(config.task.instruction, settings)})
    told = [
        f"Personal data in task.instruction: {', '.join(in_task)}, sent as it is with every "
        "request; take it out."
    ]
    named = [row.id for row in rows if find(row.id, settings)]
    of_ids = [
        f"Personal data in ids ({_rows(len(named))}), which a run writes as they are. Give these "
        "rows other ids."
    ]
    lines = [
        *_row_privacy_lines(rows, settings, listed),
        *(of_ids if named else []),
        *(told if in_task else []),
    ]
    if config.vertex and settings.redact:
        lines.append(
            "On Vertex AI placeholders are put in inside the job: in the bucket or the image "
            f"({config.coverage_dir}) the rows are stored as they are."
        )
    return lines


def _row_privacy_lines(
    rows: Sequence[CoverageRow], settings: PrivacySettings, listed: int | None
) -> list[str]:
    kinds: Counter[str] = Counter()
    places = []
    for row in rows:
        texts = (transcript(row.prompt), row.output, *row.references, *row.tags)
        found = [finding for text in texts for finding in find(text, settings)]
        kinds.update(finding.kind for finding in found)
        if found:
            places.append(row.id)
    if not places:
        blind = "" if settings.presidio_models else " (names and addresses are not looked for)"
        return [f"Personal data: none found{blind}."]
    counts = ", ".join(f"{n} {kind}" for kind, n in sorted(kinds.items()))
    more = ", …" if places[:listed] != places else ""
    fate = (
        "replaced with placeholders (privacy.redact)"
        if settings.redact
        else "sent to the service LLM as it is; privacy.redact=true replaces it with placeholders"
    )
    which = f"{_rows(len(places))} ({', '.join(places[:listed])}{more})"
    return [f"Personal data: {counts} in {which}, {fate}."]


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"
