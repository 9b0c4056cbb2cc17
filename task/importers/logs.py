"""Shapes of logged calls: exports of services, gateways, and this project's own captures."""

import re
from collections.abc import Mapping

from task.importers.content import exchange_of, messages, request, response
from task.importers.pairs import pair
from task.importers.shape import Fields, Pair, Shape, SkippedError, has, optional_text, tags_of
from task.importers.values import mapping, parsed, parsed_list

_HTTP_OK = 200
_FAULT = re.compile(r"F\d+|refusal")  # reasons of the gateway


def _is_capture(fields: Fields) -> bool:
    return has("schema_version", "messages", "service")(fields)


def _read_capture(fields: Fields) -> Pair:
    service = fields["service"]
    if not isinstance(service, Mapping) or not service.get("text"):
        raise SkippedError("the service LLM gave no whole answer: none, one cut off, or a refusal")
    if service.get("status", _HTTP_OK) != _HTTP_OK:
        raise SkippedError(f"the service LLM answered with status {service['status']}")
    reason = str(fields.get("reason"))
    if fields.get("served_by") == "model":
        raise SkippedError(f"the tuned model answered in its place ({reason})")
    if _FAULT.fullmatch(reason):
        raise SkippedError(
            f"the service LLM's answer was passed on although it is a fault ({reason})"
        )
    return pair(fields, exchange_of(messages(fields["messages"]), service["text"]))


def _read_stored(fields: Fields) -> Pair:
    asked = fields.get("messages") or fields.get("input")
    if not asked:
        raise ValueError(
            "a stored completion without its prompt; put the messages of "
            "GET /chat/completions/{id}/messages into its field 'messages'"
        )
    if isinstance(asked, Mapping) and isinstance(asked.get("data"), list):
        asked = asked["data"]
    return pair(
        fields,
        exchange_of(request(asked), response({"choices": fields["choices"]})),
        session=optional_text(mapping(fields.get("metadata")), "session_id", "conversation_id"),
    )


def _is_litellm(fields: Fields) -> bool:
    known = ("call_type", "model_group", "litellm_call_id", "request_tags")
    return has("messages", "response")(fields) and any(name in fields for name in known)


def _read_litellm(fields: Fields) -> Pair:
    if fields.get("status") == "failure" or fields.get("error_str"):
        raise SkippedError("the call failed")
    if "completion" not in str(fields.get("call_type") or "completion"):
        raise SkippedError(f"call_type is {fields['call_type']!r}, not a completion")
    parameters = mapping(fields.get("model_parameters"))
    offered = {"tools": parameters.get("tools")}
    asked = request({**offered, "messages": parsed(fields["messages"])})
    return pair(
        fields,
        exchange_of(asked, response(fields["response"])),
        session=optional_text(fields, "session_id", "trace_id"),
        tags=tags_of(parsed_list(fields.get("request_tags"))),
    )


def _read_helicone(fields: Fields) -> Pair:
    status = fields.get("response_status", _HTTP_OK)
    if str(status) != str(_HTTP_OK):
        raise SkippedError(f"the call ended with status {status}")
    properties = mapping(fields.get("request_properties") or fields.get("properties"))
    return pair(
        fields,
        exchange_of(
            request(mapping(fields["request_body"])), response(mapping(fields["response_body"]))
        ),
        id=optional_text(fields, "request_id"),
        session=optional_text(properties, "Helicone-Session-Id"),
    )


CAPTURE = Shape(
    name="capture",
    title="captures of the takeover gateway",
    source="docs/cutover.md",
    matches=_is_capture,
    read=_read_capture,
    columns=frozenset(
        {"schema_version", "id", "session", "messages", "service", "model", "tags", "split"}
    ),
)
OPENAI_STORED = Shape(
    name="openai-stored-completions",
    title="OpenAI stored completions",
    source="https://platform.openai.com/docs/api-reference/chat/list",
    matches=lambda fields: fields.get("object") == "chat.completion" and "choices" in fields,
    read=_read_stored,
    columns=frozenset({"id", "object", "choices", "messages", "input", "tags", "split"}),
    metadata=frozenset({"metadata"}),
)
LITELLM = Shape(
    name="litellm",
    title="LiteLLM logs",
    source="https://docs.litellm.ai/docs/proxy/logging_spec",
    matches=_is_litellm,
    read=_read_litellm,
    columns=frozenset(
        {"id", "messages", "response", "request_tags", "session_id", "trace_id", "status"}
    )
    | {"call_type", "model_parameters", "error_str"},
)
HELICONE = Shape(
    name="helicone",
    title="Helicone export",
    source="https://docs.helicone.ai/tools/export",
    matches=has("request_body", "response_body"),
    read=_read_helicone,
    columns=frozenset({"request_id", "request_body", "response_body", "response_status"}),
    metadata=frozenset({"request_properties", "properties"}),
)
