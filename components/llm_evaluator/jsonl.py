"""Splits the text of a JSONL file into lines."""


def json_lines(text: str) -> list[str]:
    """The lines of a JSONL file that hold something.

    Only line feeds end a line: `str.splitlines` would also break at U+2028 and its like, which JSON
    allows inside strings.
    """
    return [line for line in text.split("\n") if line.strip()]
