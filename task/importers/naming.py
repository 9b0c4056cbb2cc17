"""Find the prompt and the answer of a table by what people call its columns."""

import re
from collections.abc import Collection, Sequence

from task.importers.pairs import field_pair
from task.importers.shape import Fields, Shape

_AS_NAME = re.compile(r"[\s-]+")
# What people call the two columns of a table of their own, in any case.
_PROMPT_NAMES = frozenset(
    {"prompt", "input", "inputs", "question", "query", "request", "message", "text"}
)
_OUTPUT_NAMES = frozenset(
    {"output", "outputs", "answer", "response", "completion", "label", "target", "targets"}
    | {"ideal", "expected", "expected_output", "ground_truth"}
)
# And where there is none of these. No name of a tag or an id, such as category or reference.
_OTHER_PROMPT_NAMES = frozenset(
    {"instruction", "user", "human", "problem", "sentence", "document", "article", "dialogue"}
    | {"source", "user_message", "user_input", "user_prompt", "user_query", "input_text"}
)
_OTHER_OUTPUT_NAMES = frozenset(
    {"assistant", "bot", "reply", "solution", "summary", "highlights", "gold"}
    | {"model_response", "model_output", "expected_answer", "target_text"}
)
# These name who or where, unless a column beside them is called so.
_ONLY_BESIDE = {
    "user": {"assistant", "bot"},
    "human": {"assistant", "bot"},
    "bot": {"user", "human"},
    "source": {"target"},
}
_MIN_DISTINCT = 0.5  # of the rows; a prompt may come back, but a tag does in most of them
_MIN_TEXT_CHARS = 20  # mean length of a column that may be a prompt or an answer
_MIN_LETTERS = 0.5  # of its characters; dates and lists of numbers have fewer


def named_pair(rows: Sequence[Fields]) -> Shape | None:
    """Make the shape of a table with one column named like a prompt and one like an answer.

    Args:
        rows: Of the table.

    Returns:
        The shape; None where no column has such a name or several have, where the values do not
        differ from row to row, or where another column holds longer texts.

    Example:
        >>> named_pair([{"Question": "Where is it?", "Label": "parcel", "Team": "north"}]).title
        'Question and Label'
    """
    columns = list(dict.fromkeys(key for row in rows for key in row))
    prompts = _called(columns, _PROMPT_NAMES) or _called(columns, _OTHER_PROMPT_NAMES)
    outputs = _called(columns, _OUTPUT_NAMES) or _called(columns, _OTHER_OUTPUT_NAMES)
    if len(prompts) != 1 or len(outputs) != 1:
        return None
    asked, answers = _values(rows, prompts[0]), _values(rows, outputs[0])
    is_one_answer = len(answers) > 1 and len(set(answers)) == 1
    if not _differ(asked) or is_one_answer:
        return None
    shape = field_pair(prompts[0], outputs[0])
    shorter = min(_mean_length(asked), _mean_length(answers))
    others = (_values(rows, column) for column in columns if column not in shape.columns)
    if any(_mean_length(other) > shorter and _is_text(other) for other in others):
        return None
    return shape


def _called(columns: Collection[str], names: Collection[str]) -> list[str]:
    normal = {column: _AS_NAME.sub("_", column.strip().lower()) for column in columns}
    beside = set(normal.values())
    return [
        column
        for column, name in normal.items()
        if name in names and (name not in _ONLY_BESIDE or beside & _ONLY_BESIDE[name])
    ]


def _values(rows: Sequence[Fields], column: str) -> list[str]:
    return [str(row[column]) for row in rows if row.get(column) is not None]


def _differ(values: Sequence[str]) -> bool:
    return len(set(values)) >= _MIN_DISTINCT * len(values)


def _mean_length(values: Sequence[str]) -> float:
    return sum(map(len, values)) / max(len(values), 1)


def _is_text(values: Sequence[str]) -> bool:
    """Whether a column holds texts, and no tags, ids, dates or addresses of pages."""
    words = sum(len(value.split()) > 1 or not value.isascii() for value in values)
    letters = sum(char.isalpha() for value in values for char in value)
    return (
        _mean_length(values) >= _MIN_TEXT_CHARS
        and _differ(values)
        and 2 * words > len(values)
        and letters > _MIN_LETTERS * sum(map(len, values))
    )
