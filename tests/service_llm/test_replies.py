"""Replies in the forms in which services and models send them, over HTTP."""

import pytest

from judging.schemas import Verdict
from service_llm.types import Request
from tests.service_llm.conftest import PROVIDERS, Word, gemini_reply, openai_reply

WORD = '{"word": "a"}'
THOUGHTS = "<think>\nThe user wants a word.\n</think>\n\n"


def openai_content(content, **message):
    status, body = openai_reply("")
    body["choices"][0]["message"] |= {"content": content, **message}
    return status, body


def gemini_parts(*parts):
    status, body = gemini_reply("")
    body["candidates"][0]["content"]["parts"] = list(parts)
    return status, body


READ = {
    "thoughts before": openai_content(THOUGHTS + WORD),
    "in a fence": openai_content(f"```json\n{WORD}\n```"),
    "thoughts and a fence": openai_content(f"{THOUGHTS}```\n{WORD}\n```"),
    "thoughts before, of Gemini": gemini_reply(THOUGHTS + WORD),
    "in a fence, of Gemini": gemini_reply(f"```json\n{WORD}\n```"),
    "thoughts and a fence, of Gemini": gemini_reply(f"{THOUGHTS}```\n{WORD}\n```"),
    # https://docs.mistral.ai/capabilities/reasoning
    "parts of OpenAI": openai_content([{"type": "text", "text": '{"word": '},
                                       {"type": "text", "text": '"a"}'}]),
    "parts with thoughts": openai_content([{"type": "thinking", "thinking": [], "text": "Hm."},
                                           {"type": "text", "text": WORD}]),
    "texts": openai_content([WORD]),
    # https://api-docs.deepseek.com/guides/reasoning_model
    "thoughts beside": openai_content(WORD, reasoning_content="Hm."),
    "no finish reason": (200, {"choices": [{"message": {"content": WORD}}]}),
    "parts of Gemini": gemini_parts({"text": '{"word": '}, {"text": '"a"}'}),
    "thoughts of Gemini": gemini_parts({"text": "Hm.", "thought": True}, {"text": WORD}),
    "a signature": gemini_parts({"text": WORD, "thoughtSignature": "AbC="}),
    "fields of tomorrow": (200, gemini_reply(WORD)[1] | {"serviceTier": "standard"}),
    # https://github.com/googleapis/python-genai/issues/2435
    "a field of tomorrow in usage": (
        200, gemini_reply(WORD)[1] | {"usageMetadata": {"promptTokenCount": 1, "serviceTier": "x"}}
    ),
    "a finish reason in parts": openai_reply(WORD, {"type": "stop", "matched": 1}),
    "a finish reason of tomorrow": gemini_reply(WORD, "DONE"),
}  # fmt: skip


def by_provider(replies):
    """Each reply with the providers whose protocol it is of."""
    for name, reply in replies.items():
        for provider in ("openai",) if "choices" in reply[1] else ("gemini", "vertex"):
            yield pytest.param(provider, reply, id=f"{name}, {provider}")


@pytest.mark.parametrize(("provider", "reply"), by_provider(READ))
def test_a_reply_is_read_in_every_form_that_services_send(ask, server, provider, reply):
    server.respond = lambda body, number: reply
    (result,), usage = ask([Request("word", Word)], **PROVIDERS[provider])
    assert result.value == Word(word="a")
    assert (len(server.bodies), usage.calls) == (1, 1)


REFUSED = {
    "a refusal of OpenAI": openai_content(None, refusal="I cannot help with that."),
    "a filter of OpenAI": openai_reply("", "content_filter"),
    # https://github.com/genkit-ai/genkit/pull/6259
    "a filter of Z.ai": openai_reply("", "sensitive"),
    # https://docs.cloud.google.com/model-armor/model-armor-vertex-integration
    "Model Armor": gemini_reply("", "MODEL_ARMOR"),
    "a blocked prompt": (200, {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}),
    "a blocked reply": gemini_reply("", "SAFETY"),
}


@pytest.mark.parametrize(("provider", "reply"), by_provider(REFUSED))
def test_a_refused_reply_names_its_reason(ask, server, provider, reply):
    server.respond = lambda body, number: reply
    (result,), _ = ask([Request("word", Word)], **PROVIDERS[provider])
    assert (result.value, result.error) == (None, "refused")
    assert result.raw in (
        "I cannot help with that.", "content_filter", "PROHIBITED_CONTENT", "SAFETY",
        "sensitive", "MODEL_ARMOR",
    )  # fmt: skip


def verdict(score):
    """A judge's reply whose whole numbers are written in this form."""
    names = ("similarity", "correctness_a", "correctness_b")
    return '{"reason": "r", ' + ", ".join(f'"{name}": {score}' for name in names) + "}"


@pytest.mark.parametrize("score", ["4", "4.0", '"4"'])
@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_whole_number_is_read_in_every_form(ask, server, provider, score):
    make = openai_reply if provider == "openai" else gemini_reply
    server.respond = lambda body, number: make(verdict(score))
    (result,), usage = ask([Request("judge", Verdict)], **PROVIDERS[provider])
    assert result.value == Verdict(reason="r", similarity=4, correctness_a=4, correctness_b=4)
    assert (len(server.bodies), usage.calls) == (1, 1)


@pytest.mark.parametrize("score", ["4.5", '"four"', '"4/5"', "true", "9"])
@pytest.mark.parametrize("provider", PROVIDERS)
def test_no_other_number_is_guessed(ask, server, provider, score):
    make = openai_reply if provider == "openai" else gemini_reply
    server.respond = lambda body, number: make(verdict(score))
    (result,), _ = ask([Request("judge", Verdict)], **PROVIDERS[provider])
    assert (result.value, result.error) == (None, "bad_output")
