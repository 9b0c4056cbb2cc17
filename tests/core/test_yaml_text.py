"""YAML that would hang, explode or crash a reader is refused; all else is read as PyYAML does."""

import ast
import contextlib
import datetime

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from core.yaml_text import read_yaml
from tests.core.test_jsonl import ROOMS, ROOT

BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)
)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param(BOMB, "aliases expand to more than 100,000 values", id="exploding aliases"),
        pytest.param("a: &a [*a]", "aliases expand", id="an alias to its own parent"),
        pytest.param("a: !!bool x", "a tag does not fit", id="no bool"),
        pytest.param("a: !!timestamp x", "a tag does not fit", id="no timestamp"),
        pytest.param("a: !!bool", "a tag does not fit", id="empty bool"),
        pytest.param('a: !!int ""', "a tag does not fit", id="empty int"),
        pytest.param('a: !!int "-"', "a tag does not fit", id="sign alone"),
        pytest.param('a: !!float ""', "a tag does not fit", id="empty float"),
        pytest.param(f"a: 1{':1' * 9999}", "a number in it has more than 1,000", id="base 60"),
        pytest.param(f"a: 1{':1' * 9999}.5", "a number in it has more than", id="base 60, float"),
        pytest.param("a: !!int x", "invalid literal", id="no int"),
        pytest.param("a: !!python/object:os.system x", "could not determine", id="an object"),
        pytest.param("[" * 5000, "nested too deeply", id="nested"),
        pytest.param("a: [", "expected the node content", id="broken"),
        pytest.param("a\n---\nb", "expected a single document", id="two documents"),
    ],
)
def test_what_cannot_be_read_is_refused_at_once(text, reason):
    with pytest.raises(ValueError, match=reason):
        read_yaml(text)


def test_ordinary_aliases_are_read():
    assert read_yaml("a: &a {b: 1}\nc: *a") == {"a": {"b": 1}, "c": {"b": 1}}
    assert read_yaml("2026-11-29") == datetime.date(2026, 11, 29)
    assert read_yaml("") is None


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
))  # fmt: skip
def test_it_reads_what_pyyaml_writes(value):
    assert read_yaml(yaml.safe_dump(value)) == value


@given(st.text(alphabet="&*![]{}:-ab \n!|>#'\"", max_size=40))
def test_any_text_is_read_or_refused_with_one_kind_of_error(text):
    with contextlib.suppress(ValueError):
        read_yaml(text)


# They read files of this repository, or what they have just written.
OWN_FILES = {
    "core/yaml_text.py",
    "pipeline/scaffold.py",
    "reports/cards/space_card.py",
    "service_llm/limits.py",
    "service_llm/terms.py",
    "task/language.py",
    "task/privacy/detectors.py",
}


def test_files_of_users_are_read_by_no_other_reader_of_yaml():
    found = set()
    for path in (path for room in ROOMS for path in (ROOT / room).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and ast.unparse(node).startswith(
                ("yaml.safe_load", "yaml.SafeLoader", "yaml.load")
            ):
                found.add(path.relative_to(ROOT).as_posix())
    assert found == OWN_FILES
