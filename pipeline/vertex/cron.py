"""Checks the times of a schedule before anything is sent to Google Cloud."""

import re
import zoneinfo

from core.errors import UserError

# unix-cron, as https://cloud.google.com/scheduler/docs/configuring/cron-job-schedules has it.
_ZONE = re.compile(r"(?:CRON_TZ|TZ)=(\S+)\s+")
_PART = re.compile(r"(?:\*|(\w+)(?:-(\w+))?)(?:/([1-9]\d*))?")
_MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
_DAYS = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]
_FIELDS: tuple[tuple[str, int, int, dict[str, int]], ...] = (
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day of the month", 1, 31, {}),
    ("month", 1, 12, {name: number for number, name in enumerate(_MONTHS, 1)}),
    ("day of the week", 0, 7, {name: number for number, name in enumerate(_DAYS)}),
)


def check_cron(cron: str) -> None:
    """Look whether Vertex AI can read the times of a schedule.

    Args:
        cron: For example `CRON_TZ=Europe/Berlin 0 3 * * 1`.

    Raises:
        UserError: It cannot; the message names the field.
    """
    if problem := _problem(cron):
        raise UserError(
            f"--cron {cron!r}: {problem}. Write minute, hour, day of the month, month and day of "
            "the week, such as 'CRON_TZ=Europe/Berlin 0 3 * * 1'."
        )


def _problem(cron: str) -> str | None:
    zone = _ZONE.match(cron)
    if zone and not _is_zone(zone[1]):
        return f"there is no time zone {zone[1]!r}"
    fields = cron[zone.end() if zone else 0 :].split()
    if len(fields) != len(_FIELDS):
        return f"it has {len(fields)} fields and not {len(_FIELDS)}"
    for text, (name, low, high, words) in zip(fields, _FIELDS, strict=True):
        if not all(_is_part(part, low, high, words) for part in text.split(",")):
            return f"{text!r} is no {name} ({low} to {high}, *, lists, ranges and steps)"
    return None


def _is_zone(name: str) -> bool:
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _is_part(part: str, low: int, high: int, words: dict[str, int]) -> bool:
    match = _PART.fullmatch(part)
    if not match:
        return False
    ends = [_number(end, words) for end in match.groups()[:2] if end]
    return all(low <= end <= high for end in ends) and ends == sorted(ends)


def _number(text: str, words: dict[str, int]) -> int:
    return int(text) if text.isdecimal() else words.get(text.upper(), -1)
