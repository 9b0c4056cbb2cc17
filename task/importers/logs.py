"""Shapes of logged calls: exports of services, gateways, and this project's own captures."""

import re
from collections.abc import Mapping

from task.importers.content import exchange_of, messages, request, response
from task.importers.pairs import pair
from task.importers.shape import Fields, Pair, Shape, SkippedError, has, optional_text, tags_of
from task.importers.values import mapping, parsed

_HTTP_OK = 200
_LITELLM_BODY = "proxy_server_request"
_HELICONE_RESPONSE = ("response_body", "response_status", "response_id")
# What LiteLLM puts for the middle, and formerly the end, of a text before it stores it.
_TRUNCATED = re.compile(r"\.\.\. \((?:litellm_)?truncated (?:skipped )?\d+ chars")
_REDACTED = "redacted-by-litellm"
# In the names of calls that answer with text: of OpenAI's APIs, Anthropic's and Gemini's.
_CALLS = ("completion", "responses", "anthropic_messages", "generate_content")
_FAULT = re.compile(r"(model_failed:)?(F\d+|refusal)")  # reasons of the gateway


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
    known = ("call_type", "model_group", "litellm_call_id", "request_tags", _LITELLM_BODY)
    asked = "messages" in fields or _LITELLM_BODY in fields
    return asked and "response" in fields and any(name in fields for name in known)


def _read_litellm(fields: Fields) -> Pair:
    if fields.get("status") == "failure" or fields.get("error_str"):
        raise SkippedError("the call failed")
    call = str(fields.get("call_type") or "completion")
    if not any(name in call for name in _CALLS):
        raise SkippedError(f"call_type is {fields['call_type']!r}, not a completion")
    parameters = mapping(fields.get("model_parameters"))
    asked = request({"tools": parameters.get("tools"), **_litellm_body(fields)})
    # Without a long system message, the instruction is left for the user to write.
    asked = [m for m in asked if not (m.role == "system" and _TRUNCATED.search(m.text))]
    found = exchange_of(asked, response(fields["response"]))
    texts = [*(message.text for message in found.conversation.messages), found.answer]
    if any(_REDACTED in text for text in texts):
        raise SkippedError("LiteLLM redacted its texts (turn_off_message_logging)")
    if any(_TRUNCATED.search(text) for text in texts):
        raise ValueError(
            "LiteLLM cut its texts off before it stored them; raise MAX_STRING_LENGTH_PROMPT_IN_DB"
        )
    return pair(
        fields,
        found,
        id=optional_text(fields, "id", "request_id"),
        session=optional_text(fields, "session_id", "trace_id"),
        tags=tags_of(fields.get("request_tags")),
    )


def _litellm_body(fields: Fields) -> Mapping[str, object]:
    """Return what was asked: spend logs have it in the body of the request, other logs next to it.

    Raises:
        SkippedError: It was not stored.
    """
    asked = parsed(fields.get("messages"))
    if asked and asked != "{}":
        return {"messages": asked} if isinstance(asked, list) else {"prompt": asked, "model": ""}
    sent = mapping(fields.get(_LITELLM_BODY))
    body = mapping(sent.get("body")) or sent
    if not any(body.get(name) for name in ("messages", "contents", "input", "prompt")):
        raise SkippedError(
            "its messages were not stored; LiteLLM keeps them with store_prompts_in_spend_logs"
        )
    return body


def _read_helicone(fields: Fields) -> Pair:
    status = fields.get("response_status", _HTTP_OK)
    if str(status) != str(_HTTP_OK):
        raise SkippedError(f"the call ended with status {status}")
    for body in ("request_body", "response_body"):
        if not mapping(fields.get(body)):
            raise ValueError(
                f"its {body} is missing; Helicone exports both bodies as JSON or JSONL with "
                "--include-body, and never as CSV"
            )
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
    source="docs/takeover.md#capture",
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
        | {"request_id", _LITELLM_BODY}
    )
    | {"call_type", "model_parameters", "error_str"},
)
HELICONE = Shape(
    name="helicone",
    title="Helicone export",
    source="https://docs.helicone.ai/tools/export",
    matches=lambda fields: (
        "request_body" in fields and any(name in fields for name in _HELICONE_RESPONSE)
    ),
    read=_read_helicone,
    columns=frozenset({"request_id", "request_body", "response_body", "response_status"}),
    metadata=frozenset({"request_properties", "properties"}),
)
