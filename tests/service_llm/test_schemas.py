"""Every schema that a run sends is one that the Gemini API takes, in the stand-in's strict form."""

import enum
from typing import Annotated, Literal

import pydantic
import pytest

from components.synth_data_gen.schemas import Answer as GeneratedAnswer
from components.synth_data_gen.schemas import (
    AttributeSets,
    LeakVerdict,
    ProposedConversations,
    ProposedPrompts,
    QualityScore,
)
from judging.schemas import Answer, Verdict
from service_llm.providers.gemini_schema import schema_field
from service_llm.types import Request
from standin.published.google_types import check_google
from tests.service_llm.conftest import gemini_reply

RUN = [
    AttributeSets,
    ProposedPrompts,
    ProposedConversations,
    GeneratedAnswer,
    QualityScore,
    LeakVerdict,
    Verdict,
    Answer,
]


class Size(enum.Enum):
    SMALL = "small"
    LARGE = "large"


class Part(pydantic.BaseModel, extra="forbid"):
    """A part of something."""

    name: str = pydantic.Field("", pattern="^[a-z]*$", max_length=9)
    kind: Literal["a"] = "a"
    size: Size | None = None


class Nested(pydantic.BaseModel, extra="forbid"):
    parts: list[Part] = pydantic.Field(min_length=1, description="What it is made of.")
    main: Part
    count: int = pydantic.Field(ge=1, lt=9)
    word: str | None = None
    either: int | str = 1
    title: str = "a field that is named like a keyword"


class Tree(pydantic.BaseModel):
    label: str
    children: list["Tree"] = []


class Table(pydantic.BaseModel, extra="forbid"):
    cells: dict[str, int]


def body(model):
    name, schema = schema_field(model)
    config = {"responseMimeType": "application/json", name: schema}
    return {"contents": [{"parts": [{"text": "Hi"}]}], "generationConfig": config}


@pytest.mark.parametrize("model", [*RUN, Nested, Tree, Table], ids=lambda model: model.__name__)
@pytest.mark.parametrize(
    "api", ["generativelanguage_v1beta", "aiplatform_v1", "aiplatform_v1beta1"]
)
def test_a_schema_has_only_what_the_api_documents(api, model):
    check_google(api, "GenerateContentRequest", body(model))


@pytest.mark.parametrize("model", RUN, ids=lambda model: model.__name__)
def test_the_schemas_of_a_run_fit_the_field_that_every_model_knows(model):
    name, schema = schema_field(model)
    assert name == "responseSchema"
    assert list(schema["properties"]) == schema["propertyOrdering"] == list(model.model_fields)
    assert schema["required"] == list(model.model_fields)


def test_what_a_schema_says_is_kept():
    _, schema = schema_field(Nested)
    fields = schema["properties"]
    assert fields["parts"]["minItems"] == 1
    assert fields["parts"]["description"] == "What it is made of."
    inner = fields["parts"]["items"]
    assert inner["properties"]["kind"]["enum"] == ["a"]
    assert inner["properties"]["size"] == {
        "type": "STRING", "enum": ["small", "large"], "format": "enum", "nullable": True,
    }  # fmt: skip
    assert inner["properties"]["name"]["maxLength"] == 9
    assert fields["main"] == inner
    assert fields["count"] == {"type": "INTEGER", "minimum": 1}
    assert fields["word"] == {"type": "STRING", "nullable": True}
    assert [option["type"] for option in fields["either"]["anyOf"]] == ["INTEGER", "STRING"]


@pytest.mark.parametrize("model", [Tree, Table], ids=lambda model: model.__name__)
def test_what_the_message_cannot_say_goes_out_as_json_schema(model):
    assert schema_field(model)[0] == "responseJsonSchema"


@pytest.mark.parametrize("vertex", [False, True], ids=["AI Studio", "Vertex AI"])
@pytest.mark.parametrize("model", [AttributeSets, Nested, Tree], ids=lambda model: model.__name__)
def test_a_request_over_http_carries_the_schema_as_it_is(
    ask, server, model, vertex, service_account
):
    """https://github.com/googleapis/python-genai/issues/1815: `extra="forbid"` ended the run."""
    server.respond = lambda body, number: gemini_reply("{}")
    changes = {"vertex_project": "team"} if vertex else {}
    ask([Request("Hi", model)], **changes)
    config = server.bodies[0]["generationConfig"]
    assert "additional" not in str(config)
    assert set(config) & {"responseSchema", "responseJsonSchema", "response_schema"}


def test_a_model_is_not_changed_by_sending_it(ask, server):
    server.respond = lambda body, number: gemini_reply("{}")
    before = repr(schema_field(Nested))
    ask([Request("Hi", Nested)])
    assert repr(schema_field(Nested)) == before
    sent = [body["generationConfig"]["responseSchema"] for body in server.bodies]
    assert len({repr(schema) for schema in sent}) == 1


def test_the_formats_that_the_api_knows_are_sent_and_no_others():
    """https://ai.google.dev/api/caching#Schema"""
    known = {"date-time", "int32", "int64", "float", "double"}

    for name in (*known, "uuid", "email", "date"):
        kind = {"format": name, "type": "string"}
        model = pydantic.create_model(
            "Value", value=(Annotated[str, pydantic.WithJsonSchema(kind)], ...)
        )
        _, schema = schema_field(model)
        sent = schema["properties"]["value"].get("format")
        assert sent == (name if name in known else None)
