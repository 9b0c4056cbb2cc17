"""Files that components hand to each other: what was written is read, and damage is told."""

import ast
import dataclasses
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.synth_data_gen.aim import verdicts_on_seeds
from core.errors import UserError
from core.jsonl import read_rows
from core.records import CoverageRow, ResponseRow, VerdictRow, Vote

# Also characters at which `str.splitlines` would break a line.
TEXT = st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(
    ["a\u2028b", "a\x85b", "a\x0bb\x0c", "a\r\nb"]
)
TAGS = st.lists(TEXT, max_size=3).map(tuple)
SCORE = st.integers(1, 5)
COVERAGE = st.builds(CoverageRow, TEXT, TEXT, TEXT, TEXT, TAGS)
RESPONSE = st.builds(
    ResponseRow,
    *(TEXT, TEXT, TEXT, TEXT, TAGS, TEXT),
    st.sampled_from(["stop", "length"]),
    st.integers(0, 9),
)
VERDICT = st.builds(
    VerdictRow,
    model=st.sampled_from(["tuned", "base"]),
    **dict.fromkeys(("id", "prompt", "output", "response", "reason"), TEXT),
    split=st.sampled_from(["seed", "holdout"]),
    tags=TAGS,
    finish=st.sampled_from(["stop", "length"]),
    sample=st.integers(0, 9),
    covered=st.booleans(),
    scored=st.booleans(),
    similarity=st.none() | st.floats(1, 5),
    correctness=st.none() | st.floats(1, 5),
    votes=st.lists(
        st.builds(Vote, SCORE, SCORE, SCORE, TEXT, st.sampled_from(["a", "b"])), max_size=3
    ).map(tuple),
    scores=st.dictionaries(TEXT, st.none() | st.floats(0, 1), max_size=2),
)
ROWS = (CoverageRow, ResponseRow, VerdictRow)
KINDS = {"coverage": COVERAGE, "responses": RESPONSE, "verdicts": VERDICT}


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_rows_survive_writing_and_reading(kind, data):
    rows = data.draw(st.lists(KINDS[kind], min_size=1, max_size=4))
    text = "".join(f"{row.to_json()}\n" for row in rows)
    assert read_rows(text, "file", type(rows[0]).from_json) == rows


@given(rows=st.lists(VERDICT, max_size=4))
def test_aiming_reads_the_verdicts_that_the_evaluator_wrote(rows):
    text = "".join(f"{row.to_json()}\n" for row in rows)
    wanted = [r for r in rows if (r.model, r.split, r.scored) == ("tuned", "seed", True)]
    found = verdicts_on_seeds(read_rows(text, "verdicts.jsonl", VerdictRow.from_json))
    assert [(v.id, v.covered) for v in found] == [(r.id, r.covered) for r in wanted]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.__name__)
@given(text=st.text())
def test_no_other_text_is_taken_for_rows(row, text):
    if not any(line.strip() for line in text.split("\n")):
        assert read_rows(text, "odd.jsonl", row.from_json) == []
        return
    with pytest.raises(UserError, match=r"^odd\.jsonl, line \d+: "):
        read_rows(text, "odd.jsonl", row.from_json)


@given(row=VERDICT, data=st.data())
def test_a_field_of_another_type_is_told_with_its_line(row, data):
    fields = dataclasses.asdict(row)
    name = data.draw(st.sampled_from(sorted(fields)))
    fields[name] = data.draw(st.sampled_from([object, {"x": 1}, [[1]]]))
    if fields[name] is object:
        del fields[name]
    text = f"{row.to_json()}\n\n{json.dumps(fields)}\n"
    if name == "scores":
        return  # any object of numbers is one
    if name == "references" and name not in fields:
        return  # rows of earlier versions have none
    with pytest.raises(UserError, match=r"^file, line 3: .* Restore the file .* paid for again\.$"):
        read_rows(text, "file", VerdictRow.from_json)


@pytest.mark.parametrize("line", ["[" * 100_000, "1" * 5000, '{"id": NaN}', "null", "\x00", "\\"])
def test_odd_lines(line):
    for row in ROWS:
        with pytest.raises(UserError, match="line 1"):
            read_rows(line, "file", row.from_json)


def test_what_is_wrong_with_a_field_is_said():
    line = CoverageRow("1", "p", "o", "seed").to_json().replace('"p"', "7")
    with pytest.raises(UserError, match=r"line 1: .*\(prompt: Input should be a valid string\)"):
        read_rows(line, "file", CoverageRow.from_json)


ROOT = Path(__file__).parents[2]
ROOMS = (
    "apps", "benchmarks", "components", "core", "judging", "labelling", "models", "notebooks",
    "pipeline", "reports", "service_llm", "serving", "standin", "task", "tools",
)  # fmt: skip
JSON_READERS = {"loads", "model_validate_json", "validate_json", "from_json"}
# The last line that a program of this repository printed.
LAST_LINE = {
    "models/export/llama_cpp.py",
    "models/export/saved_model.py",
    "benchmarks/processes.py",
}


def splits_of(tree):
    """The calls of `splitlines` whose lines may be rows: not those of a docstring or the last."""
    wanted = [node for node in ast.walk(tree) if isinstance(node, ast.Subscript)]
    single = {id(node.value) for node in wanted if isinstance(node.slice, ast.Constant)}
    for node in ast.walk(tree):
        is_call = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        if is_call and node.func.attr == "splitlines" and id(node) not in single:
            yield node.lineno


def test_no_other_reader_of_json_lines_breaks_rows_at_odd_characters():
    """`str.splitlines` breaks at U+2028, U+2029 and U+0085; `core.jsonl.read_rows` does not."""
    found = []
    for path in (path for room in ROOMS for path in (ROOT / room).rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        # The page splits what people see, and the values of its rows are not lines.
        if name in LAST_LINE | {"apps/space/page.py"}:
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        called = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        if called & JSON_READERS:
            found += [f"{name}:{line}" for line in splits_of(tree)]
    assert found == []
    assert list(splits_of(ast.parse("for line in text.splitlines(): json.loads(line)"))) == [1]
