"""The published types in the repository are what their sources give."""

import pytest

from standin.published import compare
from standin.published.compare import SourceMissingError, is_reproduced
from standin.published.generate import FILES, _closed, _of_discovery


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_what_its_source_gives(name):
    try:
        is_same = is_reproduced(name)
    except SourceMissingError as error:
        if name == "openai":  # whose package is in the lock
            raise
        pytest.skip(f"{error}; standin/published/generate.py says how to bring it in")
    assert is_same, "run standin/published/generate.py"


def test_a_file_that_was_edited_by_hand_is_told(monkeypatch, capsys):
    edited = compare.load("openai") | {"requests": {}}
    monkeypatch.setattr(compare, "load", lambda name: edited)
    monkeypatch.setattr(compare, "FILES", {"openai": FILES["openai"]})
    assert compare.main() == 1
    assert "openai.json DIFFERS" in capsys.readouterr().out


@pytest.mark.parametrize("package", ["no-such-package", "pytest"])
def test_a_source_that_is_not_here_is_named_with_its_release(monkeypatch, capsys, package):
    other = {"source": f"https://pypi.org/project/{package}/0.0.1/", "date": "2026-11-30"}
    monkeypatch.setattr(compare, "load", lambda name: other)
    monkeypatch.setattr(compare, "FILES", {"openai": (package, dict)})
    assert compare.main() == 1
    assert f"{package} 0.0.1" in capsys.readouterr().out


def test_a_discovery_document_is_read_with_all_messages_that_it_leads_to():
    waiting = []
    inner = {"$ref": "GoogleCloudAiplatformV1Part"}
    fields = {
        "parts": {"type": "array", "items": inner},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        "count": {"type": "string", "format": "int64"},
        "kind": {"type": "string", "enum": ["A", "B"]},
        "anything": {"type": "any"},
    }
    found = {
        name: _of_discovery(field, "GoogleCloudAiplatformV1", waiting)
        for name, field in fields.items()
    }
    assert found == {
        "parts": {"message": "Part", "repeated": True},
        "labels": {"type": "TYPE_STRING", "map": True},
        "count": {"type": "TYPE_INT64"},
        "kind": {"enum": ["A", "B"], "type": "enum"},
        "anything": {},
    }
    assert waiting == ["Part"]


def test_objects_of_openais_types_take_no_other_properties():
    schema = {"title": "A", "properties": {"title": {"type": "string", "description": "Its."}}}
    closed = {"properties": {"title": {"type": "string"}}, "additionalProperties": False}
    assert _closed(schema) == closed
