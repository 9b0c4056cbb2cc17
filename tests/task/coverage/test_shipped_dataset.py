import itertools
import json
import pathlib
import re
from collections import Counter

import jsonschema
import pytest

from core.records import COVERAGE_SPLITS
from task.coverage.reader import read_coverage

FOLDER = pathlib.Path(__file__).parents[3] / "data" / "coverage" / "support_triage"
LABELS = ("category", "priority", "product")


@pytest.fixture(scope="module")
def rows():
    return read_coverage(str(FOLDER))


@pytest.fixture(scope="module")
def schema():
    return json.loads((FOLDER / "schema.json").read_text(encoding="utf-8"))


def label(row, name):
    return json.loads(row.output)[name]


def shares(rows, value):
    """Share of each value among the rows."""
    counts = Counter(map(value, rows))
    return {key: count / len(rows) for key, count in counts.items()}


def test_every_line_follows_the_schema(schema):
    validator = jsonschema.Draft202012Validator(schema)
    lines = (FOLDER / "tickets.jsonl").read_text(encoding="utf-8").splitlines()
    errors = [
        (n, e.message) for n, x in enumerate(lines, 1) for e in validator.iter_errors(json.loads(x))
    ]
    assert not errors


def test_every_output_is_valid_and_written_in_the_one_form(rows, schema):
    output_schema = schema["$defs"]["output"]
    for row in rows:
        output = json.loads(row.output)
        jsonschema.validate(output, output_schema)
        in_order = {name: output[name] for name in output_schema["required"]}
        assert row.output == json.dumps(in_order), row.id


def test_there_are_enough_rows_in_every_split(rows):
    counts = Counter(row.split for row in rows)
    assert counts == {"seed": 150, "holdout": 150, "test": 200}


@pytest.mark.parametrize(
    ("name", "values", "lowest", "highest"),
    [("category", 6, 0.12, 0.22), ("priority", 3, 0.2, 0.55), ("product", 13, 0.05, 0.15)],
    ids=LABELS,
)
def test_labels_are_balanced_and_alike_in_all_splits(rows, name, values, lowest, highest):
    by_split = [
        shares([row for row in rows if row.split == split], lambda row: label(row, name))
        for split in COVERAGE_SPLITS
    ]
    for found in by_split:
        assert len(found) == values
        assert lowest <= min(found.values())
        assert max(found.values()) <= highest
    for one, other in itertools.combinations(by_split, 2):
        assert all(abs(one[key] - other[key]) < 0.05 for key in one), by_split


def test_no_category_gives_the_priority_away(rows):
    pairs = Counter((label(row, "category"), label(row, "priority")) for row in rows)
    assert len(pairs) == 6 * 3
    assert min(pairs.values()) >= 5, pairs


def test_every_tag_of_the_schema_is_used_in_all_splits(rows, schema):
    tags = set(schema["properties"]["tags"]["items"]["enum"])
    for split in COVERAGE_SPLITS:
        assert {tag for row in rows if row.split == split for tag in row.tags} == tags


@pytest.mark.parametrize(
    ("tag", "holds"),
    [
        ("short", lambda row: len(row.prompt.split()) <= 10),
        ("long", lambda row: len(row.prompt.split()) >= 60),
        ("lower_case", lambda row: row.prompt == row.prompt.lower()),
        ("all_caps", lambda row: row.prompt == row.prompt.upper()),
        ("no_product", lambda row: label(row, "product") is None),
    ],
)
def test_tags_with_a_formal_rule_follow_it(rows, tag, holds):
    assert {row.id for row in rows if tag in row.tags} == {row.id for row in rows if holds(row)}


def test_a_product_is_spelled_right_exactly_where_no_tag_says_otherwise(rows):
    for row in rows:
        product = label(row, "product")
        if product is not None:
            named = product.lower() in row.prompt.lower()
            assert named == ("misspelled_product" not in row.tags), row.id


def test_a_row_without_product_names_none(rows, schema):
    catalogue = schema["$defs"]["output"]["properties"]["product"]["enum"]
    for row in rows:
        if label(row, "product") is None:
            named = [name for name in catalogue if name and name.lower() in row.prompt.lower()]
            assert not named, row.id


def test_about_one_row_in_twelve_misspells_its_product(rows):
    assert 0.06 <= sum("misspelled_product" in row.tags for row in rows) / len(rows) <= 0.1


def test_messages_are_of_very_different_length(rows):
    words = [len(row.prompt.split()) for row in rows]
    assert min(words) <= 3
    assert max(words) >= 130


def test_no_prompt_is_near_another_one(rows):
    words = {row.id: set(re.findall(r"\w+", row.prompt.casefold())) for row in rows}
    for a, b in itertools.combinations(rows, 2):
        jaccard = len(words[a.id] & words[b.id]) / len(words[a.id] | words[b.id])
        assert jaccard < (0.5 if a.split == b.split else 0.3), (a.prompt, b.prompt)


@pytest.mark.parametrize("name", [*LABELS, "tag"])
def test_the_tables_of_the_datasheet_count_the_rows(rows, name):
    def values(row):
        return row.tags if name == "tag" else [label(row, name) or "null"]

    lines = (FOLDER / "DATASHEET.md").read_text(encoding="utf-8").splitlines()
    start = lines.index(f"| {name} | seed | holdout | test | all |") + 2
    table = itertools.takewhile(lambda line: line.startswith("|"), lines[start:])
    written = {cells[0]: tuple(map(int, cells[1:])) for cells in map(_cells, table)}
    counts = [Counter(v for r in rows if r.split == s for v in values(r)) for s in COVERAGE_SPLITS]
    every = sum(counts, Counter())
    assert written == {key: (*(found[key] for found in counts), every[key]) for key in every}


def _cells(line):
    return [cell.strip() for cell in line.strip("|").split("|")]
