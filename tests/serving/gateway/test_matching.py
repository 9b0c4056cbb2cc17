"""Which requests are of a task, in both protocols, and what the tuned model gets of them."""

import json
import random
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.gateway.explain import explain, explain_lines
from serving.gateway.match_share import Excerpt, Fall, MatchShare
from serving.gateway.matching import Match, Matcher, Unmatched, too_long
from serving.gateway.protocols import recognize
from serving.gateway.protocols.base import UnreadableError
from serving.gateway.task import Message, ServedTask
from tests.serving.gateway.harness import (
    GEMINI_PATH,
    INSTRUCTION,
    PROMPT,
    gemini_request,
    openai_request,
)

PATHS = {"gemini": GEMINI_PATH, "openai": "/v1/chat/completions"}


def count_words(messages) -> int:
    return sum(len(message.text.split()) for message in messages)


def served(**changes) -> ServedTask:
    values = {
        "name": "triage",
        "instruction": INSTRUCTION,
        "model": "m",
        "round": 1,
        "hash": "abc",
        "base_url": "http://127.0.0.1:1/v1",
        "api_model": "m",
        "context_length": 64,
        "max_output_tokens": 16,
        "count_tokens": count_words,
    }
    return ServedTask(**{**values, **changes})


def match(body: dict, *tasks: ServedTask, path: str = "") -> Match | Unmatched:
    path = path or PATHS["openai" if "messages" in body else "gemini"]
    route = recognize("POST", path, b"")
    assert route
    return Matcher(tasks or [served()]).match(route.dialect.read_request(body, route))


@pytest.mark.parametrize("request_of", [gemini_request, openai_request])
@pytest.mark.parametrize(
    "system", [INSTRUCTION, f"\n  {INSTRUCTION.replace(' ', chr(10))}\t", "Sort it."]
)
def test_the_system_text_is_compared_but_for_white_space(request_of, system):
    found = match(request_of(system=system), served(accepted_instructions=("Sort  it.",)))
    assert isinstance(found, Match)
    assert found.messages == (Message("user", PROMPT),)


def test_snake_case_and_a_single_content_are_read_as_the_service_reads_them():
    body = {
        "system_instruction": {"parts": {"text": INSTRUCTION}},
        "contents": {"parts": [{"text": "My kettle"}, {"text": "does not boil."}]},
    }
    found = match(body)
    assert isinstance(found, Match)
    assert found.messages == (Message("user", "My kettle\ndoes not boil."),)


def with_part(part: dict) -> dict:
    body = gemini_request()
    body["contents"][0]["parts"].append(part)
    return body


def with_content(part: dict) -> dict:
    body = openai_request()
    body["messages"][1]["content"] = [{"type": "text", "text": "Look:"}, part]
    return body


def openai_with_call() -> dict:
    body = openai_request()
    call = {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": ""}}
    body["messages"].insert(1, call)
    return body


def config(**values) -> dict:
    return gemini_request(generationConfig=values)


TURNS = [
    {"role": "user", "parts": [{"text": "Hello"}]},
    {"role": "model", "parts": [{"text": "Hello!"}]},
    {"role": "user", "parts": [{"text": PROMPT}]},
]


@pytest.mark.parametrize(
    ("reason", "body"),
    [
        ("system", gemini_request(system="Write a poem.")),
        ("system", openai_request(system="Write a poem.")),
        ("system", {"contents": [{"parts": [{"text": PROMPT}]}]}),
        ("turns", {**gemini_request(), "contents": TURNS}),
        ("empty", {**gemini_request(), "contents": TURNS[:2]}),
        ("empty", gemini_request(prompt="")),
        ("tools", gemini_request(tools=[{"googleSearch": {}}])),
        ("tools", openai_request(tools=[{"type": "function", "function": {"name": "f"}}])),
        ("tools", with_part({"functionCall": {"name": "f"}})),
        ("tools", openai_request(functions=[{"name": "f"}])),
        ("tools", openai_request(web_search_options={})),
        ("tools", openai_with_call()),
        ("images", with_part({"inlineData": {"mimeType": "image/png", "data": "aGk="}})),
        ("images", with_part({"inline_data": {"mime_type": "image/png", "data": "aGk="}})),
        ("images", with_content({"type": "image_url", "image_url": {"url": "https://x/y.png"}})),
        ("images", with_content({"type": "input_audio", "input_audio": {"data": ""}})),
        ("file_uri", with_part({"fileData": {"fileUri": "gs://b/f.pdf"}})),
        ("file_uri", with_content({"type": "file", "file": {"file_id": "f"}})),
        ("cached_content", gemini_request(cachedContent="cachedContents/1")),
        ("candidates", config(candidateCount=2)),
        ("candidates", openai_request(n=2)),
        ("modalities", config(responseModalities=["TEXT", "IMAGE"])),
        ("modalities", openai_request(modalities=["text", "audio"])),
        ("logprobs", config(responseLogprobs=True)),
        ("logprobs", openai_request(logprobs=True)),
        ("mime_type", config(responseMimeType="text/x.enum")),
        ("schema", config(responseSchema={"type": "NO_SUCH_TYPE"})),
    ],
)
def test_what_is_not_of_the_task_is_told_apart(reason, body):
    found = match(body)
    assert isinstance(found, Unmatched)
    assert found.reason == reason
    assert found.why


@pytest.mark.parametrize(
    "body",
    [
        config(maxOutputTokens=-1),
        config(maxOutputTokens=2.5),
        openai_request(max_tokens=True),
        openai_request(max_tokens=[5]),
    ],
)
def test_a_limit_of_tokens_that_is_none_is_left_to_the_service(body):
    with pytest.raises(UnreadableError):
        match(body)


def test_a_thought_that_is_sent_back_is_no_text_of_the_user():
    found = match(with_part({"text": "Hm.", "thought": True}))
    assert isinstance(found, Match)
    assert found.messages[-1].text == PROMPT


def test_turns_that_the_model_has_learned_are_all_given_to_it():
    body = {**gemini_request(), "contents": TURNS}
    found = match(body, served(learned_turns=2))
    assert isinstance(found, Match)
    assert [message.role for message in found.messages] == ["user", "assistant", "user"]


TEMPLATE = "Sort this message:\n\n<message>{prompt}</message>\n\nAnswer with JSON."


@pytest.mark.parametrize("prompt", [PROMPT, "two\n\nlines", "<message> within </message>", "a{b}"])
@pytest.mark.parametrize("system", ["", INSTRUCTION])
def test_the_message_is_taken_out_of_the_template(prompt, system):
    body = gemini_request(prompt=TEMPLATE.replace("{prompt}", prompt), system=system)
    found = match(body, served(match="template", template=TEMPLATE))
    assert isinstance(found, Match)
    assert found.messages[-1].text == prompt


@given(st.text(string.printable, min_size=1).filter(str.strip))
def test_any_message_comes_out_of_the_template_as_it_went_in(prompt):
    body = gemini_request(prompt=TEMPLATE.replace("{prompt}", prompt), system="")
    found = match(body, served(match="template", template=TEMPLATE))
    assert isinstance(found, Match)
    assert found.messages[-1].text == prompt.strip()


def test_a_megabyte_of_line_ends_that_does_not_fit_the_template_is_told_apart_at_once():
    text = "Ticket:\na" + "\n" * 1_000_000 + "x"  # days, where a pattern goes back and forth
    found = match(
        gemini_request(prompt=text, system=""),
        served(match="template", template="Ticket:\n{prompt}\n\nAnswer:"),
    )
    assert found == Unmatched("template", text)


@pytest.mark.parametrize(
    ("template", "text", "message"),
    [
        ("Sort: {prompt} End.", "Sort: one End. two End.", "one End. two"),
        ("Sort: {prompt}", "\n Sort:\n\n one \n", "one"),
        ("Sort: {prompt}", "Sort:one", "one"),
        ("Sort {prompt}", "Sorting hats is fun", None),
        ("Sort {prompt}", "Sort\nhats", "hats"),
        ("Sort {prompt}", "Sort-of hats", None),
        ("Sort {prompt}", "Sort: hats", None),
        ("Sort {prompt}", "Sort's hats", None),
        ("Sort {prompt} now", "Sort hats right-now", None),
        ("Sort {prompt} now", "Sort hats \n now", "hats"),
        ("Sort{prompt}", "Sorting", "ing"),
        ("{prompt} End.", "oneEnd.", None),
        ("{prompt} . End", "one.\nEnd", "one"),
        ("a b {prompt} c d", "ab one c d", None),
        ("aba {prompt} aba", "ababa", None),
        ("{prompt}", " one ", "one"),
    ],
)
def test_the_words_around_a_message_are_compared_but_for_white_space(template, text, message):
    body = gemini_request(prompt=text, system="")
    found = match(body, served(match="template", template=template))
    taken = found.messages[-1].text if isinstance(found, Match) else None
    assert taken == message


def test_a_text_that_does_not_fit_the_template_is_shown():
    found = match(gemini_request(system=""), served(match="template", template=TEMPLATE))
    assert found == Unmatched("template", PROMPT)


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (gemini_request(system="whatever"), "/v1beta/models/sorter:generateContent"),
        (
            gemini_request(system="whatever"),
            "/v1/projects/p/locations/global/publishers/google/models/sorter:generateContent",
        ),
        ({**openai_request(system="whatever"), "model": "sorter"}, "/v1/chat/completions"),
    ],
)
def test_a_model_alias_stands_for_the_task(body, path):
    task = served(match="model", model_alias="sorter")
    assert isinstance(match(body, task, path=path), Match)
    other = served(match="model", model_alias="other")
    assert match(body, other, path=path) == Unmatched("model", "sorter")


def test_any_request_of_text_is_of_the_task_where_the_settings_say_so():
    assert isinstance(match(gemini_request(system="whatever"), served(match="any")), Match)
    assert isinstance(match(gemini_request(tools=[{}]), served(match="any")), Unmatched)


def test_the_first_task_that_matches_takes_the_request():
    first = served(name="first", instruction="Translate.")
    second, third = served(name="second"), served(name="third", match="any")
    found = match(gemini_request(), first, second, third)
    assert isinstance(found, Match)
    assert found.task is second


def test_a_prompt_has_to_leave_room_for_its_answer():
    fits = match(gemini_request(prompt="word " * 48))
    longer = match(gemini_request(prompt="word " * 49))
    assert isinstance(fits, Match)
    assert isinstance(longer, Match)
    assert too_long(fits) is None
    assert too_long(longer) == Unmatched("too_long")


@pytest.mark.parametrize(
    ("more", "thinking"),
    [
        ({}, ""),
        ({"reasoning_effort": "low"}, "low"),
        (
            {"extra_body": {"google": {"thinking_config": {"thinking_budget": 0}}}},
            '{"thinking_budget": 0}',
        ),
        (
            {"extra_body": {"google": {"thinking_config": {"thinking_budget": 8192}}}},
            '{"thinking_budget": 8192}',
        ),
    ],
)
def test_the_thinking_setting_of_openais_protocol_is_read_wherever_it_stands(more, thinking):
    route = recognize("POST", PATHS["openai"], b"")
    assert route.dialect.read_request(openai_request(**more), route).thinking == thinking


@pytest.mark.parametrize("is_logged", [False, True], ids=["body", "path and body"])
def test_explain_knows_the_largest_body_of_a_task(is_logged):
    def line(size: int) -> str:
        body = json.dumps(gemini_request(prompt=""), separators=(",", ":"))
        body = body.replace('"text":""', f'"text":"{"x" * (size - len(body))}"')
        return json.dumps({"path": GEMINI_PATH, "body": body}) if is_logged else body

    lines = [line(1024 * 1024), line(1024 * 1024 + 1)]
    assert [it.reason for it in explain_lines(lines, [served()])] == ["", "size"]


def test_explain_says_of_each_request_what_would_happen_and_why(tmp_path):
    requests = [
        gemini_request(),
        openai_request(system="Write a poem."),
        {"path": f"{GEMINI_PATH}?key=k", "body": json.dumps(gemini_request())},
        {"path": "/v1beta/models/x:countTokens", "body": {}},
        gemini_request(prompt="word " * 60),
    ]
    file = tmp_path / "requests.jsonl"
    lines = [*(json.dumps(request) for request in requests), "{half", '{"a": 1}', ""]
    file.write_text("\n".join(lines))
    found = explain(file, [served()])
    assert [(it.line, it.task, it.reason) for it in found] == [
        (1, "triage", ""),
        (2, "", "system"),
        (3, "triage", ""),
        (4, "", "path"),
        (5, "", "too_long"),
        (6, "", "unreadable"),
        (7, "", "unreadable"),
    ]
    assert "'Write a poem.'" in str(found[1])
    assert "60 tokens; 48 fit" in str(found[4])
    assert explain_lines([lines[0]], [served()]) == found[:1]


EDITED = Excerpt("Sort, please.", 13)


def recorded(share: MatchShare, requests) -> list[Fall | None]:
    """The fall after each request."""
    falls = []
    for is_matched in requests:
        reason, excerpt = ("", None) if is_matched else ("system", EDITED)
        share.record(is_matched=is_matched, reason=reason, excerpt=excerpt)
        falls.append(share.fall())
    return falls


def steady(share: float, count: int, seed: int = 1) -> list[bool]:
    generator = random.Random(seed)
    return [generator.random() < share for _ in range(count)]


def test_the_match_share_falls_when_an_application_edits_its_instruction():
    share = MatchShare()
    assert recorded(share, [True] * 120)[-1] is None
    falls = recorded(share, [False] * 20)
    assert falls[0] is None
    assert falls[-1] == Fall(0.6, 1.0, "system", EDITED)
    assert recorded(share, [False] * 2000)[-1] is not None, "what lasts long is no better"
    assert recorded(share, [True] * 50)[-1] is None


@pytest.mark.parametrize("percent", [2, 10, 20, 33, 50, 90])
def test_a_steady_share_of_several_tasks_raises_no_alarm(percent):
    assert not any(recorded(MatchShare(), steady(percent / 100, 10_000, seed=percent)))


@pytest.mark.parametrize(
    ("before", "after", "requests"),
    [(1.0, 0.55, 60), (0.5, 0.2, 250), (0.33, 0.0, 60), (0.1, 0.0, 250), (0.02, 0.0, 1100)],
)
def test_a_share_that_has_really_fallen_is_told(before, after, requests):
    share = MatchShare()
    assert not any(recorded(share, steady(before, 3000)))
    assert recorded(share, steady(after, requests, seed=2))[-1] is not None


def test_an_instruction_that_is_accepted_again_ends_the_fall_of_a_rare_task():
    share = MatchShare()
    recorded(share, steady(0.1, 3000))
    assert recorded(share, [False] * 400)[-1] is not None
    assert None in recorded(share, steady(0.1, 600, seed=3))


def test_a_share_that_was_never_higher_has_not_fallen():
    share = MatchShare()
    for number in range(600):
        share.record(is_matched=number % 10 == 0)
    assert share.fall() is None
    assert share.share == pytest.approx(0.1)


def test_the_share_is_of_the_fifty_latest_requests():
    share = MatchShare()
    assert share.share == 0
    recorded(share, [True] * 30)
    assert share.share == 1
    recorded(share, [True] * 200 + [False] * 25)
    assert share.share == 0.5


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("{half", "it is not JSON"),
        ("[1]", "it is no JSON object"),
        ('{"a": 1}', "it has neither `contents` (Gemini) nor `messages` (OpenAI) nor `path`"),
    ],
)
def test_explain_says_what_is_no_request(line, why):
    (found,) = explain_lines([line], [served()])
    assert (found.reason, why in str(found)) == ("unreadable", True)
