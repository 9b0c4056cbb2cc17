"""What several rooms do with texts."""

from collections.abc import Callable, Mapping, Sequence

Say = Callable[[str], None]
"""Tells a person something, a text at a time."""


def duration(seconds: float) -> str:
    """Return seconds in words: "0.4 s", "12 s", "1 min 05 s", "2 h 03 min"."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min"


def about_minutes(seconds: float) -> str:
    """Return an estimate in words: "about a minute", "about 13 minutes"."""
    minutes = round(seconds / 60)
    return f"about {minutes} minutes" if minutes > 1 else "about a minute"


def rename_keys(text: str, names: Mapping[str, str]) -> str:
    """Rename keys in a JSON text, at any depth; strings that hold such a word stay as they are."""
    for old, new in names.items():
        text = text.replace(f'"{old}":', f'"{new}":')  # in a string the quotes would be escaped
    return text


def common_start(texts: Sequence[str]) -> str:
    """Return what all texts begin with; of no text nothing."""
    first, last = min(texts, default=""), max(texts, default="")
    same = zip(first, last, strict=False)
    return first[: next((n for n, (a, b) in enumerate(same) if a != b), min(len(first), len(last)))]
