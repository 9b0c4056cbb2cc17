"""The mode `private`: what holds personal data never goes to the service, whatever hides it."""

import gzip
import json

import httpx
import pytest

from tests.serving.gateway.harness import (
    GEMINI_PATH,
    INSTRUCTION,
    gemini_request,
    openai_request,
)
from tests.serving.gateway.test_modes import CHAT, served, unavailable

CYRILLIC = "\u0434\u0430\u0440\u044c\u044f@\u043f\u0440\u0438\u043c\u0435\u0440.\u0440\u0444"
ARABIC = "+\u0664\u0669 \u0663\u0660 \u0669\u0660\u0661\u0668\u0662\u0660"  # a phone number
FILE = {"fileData": {"fileUri": "gs://bucket/cv.pdf"}}


@pytest.mark.parametrize(
    "prompt",
    [
        "I am ada.lovelace@example.org",
        "Pay back to DE89 3704 0044 0532 0130 00",
        "Call +49 30 901820",
    ],
    ids=["mail", "IBAN", "phone"],
)
def test_in_private_mode_personal_data_never_leaves(servers, prompt):
    servers.start(servers.settings(mode="private"))
    assert served(servers.post(GEMINI_PATH, gemini_request(prompt))) == ("model", "private")
    # Not when the model fails either, nor where the request is another task's or no answer.
    servers.model.behavior = unavailable
    replies = [
        servers.post(GEMINI_PATH, gemini_request(prompt)),
        servers.post(GEMINI_PATH, gemini_request(prompt), x_understudy_fallback="off"),
        servers.post(GEMINI_PATH, gemini_request(prompt, system="Another task.")),
        servers.post("/v1beta/models/gemini-x:countTokens", gemini_request(prompt)),
        servers.post(CHAT, openai_request(user=prompt)),
        httpx.post(f"{servers.url}/upload/v1beta/files", content=b"\x00\x01" + prompt.encode()),
    ]
    assert [reply.status_code for reply in replies] == [503] * 6
    assert servers.service.received == []


def test_in_private_mode_personal_data_does_not_leave_by_a_side_door(servers):
    servers.start(servers.settings(mode="private", sticky_header="X-User"))
    mail = "ada.lovelace@example.org"
    plain = json.dumps(gemini_request("Hello"))
    twice = f'{{"contents": [{{"parts": [{{"text": "{mail}"}}]}}], {plain[1:]}'
    split = gemini_request()
    split["contents"][0]["parts"] = [{"text": mail[:12]}, {"text": mail[12:]}]
    image = gemini_request()
    image["contents"][0]["parts"].append({"inlineData": {"mimeType": "image/png", "data": "aGk="}})
    url = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}
    chat = openai_request()
    chat["messages"][-1]["content"] = [{"type": "text", "text": "Hello"}, url]
    members = gzip.compress(plain.encode()) + gzip.compress(mail.encode())
    replies = [
        httpx.post(f"{servers.url}{GEMINI_PATH}", content=twice, timeout=30),
        httpx.post(
            f"{servers.url}{GEMINI_PATH}", content=members, headers={"content-encoding": "gzip"}
        ),
        servers.post(GEMINI_PATH, split),
        servers.post(GEMINI_PATH, image),
        servers.post(CHAT, chat),
        servers.post(GEMINI_PATH, gemini_request("Hello"), x_user=mail),
        httpx.get(f"{servers.url}/v1beta/models", headers={"x-user": mail}),
        httpx.get(f"{servers.url}/v1beta/models", params={"filter": mail}),
    ]
    assert [reply.headers["x-understudy-served-by"] for reply in replies] == [
        *("model", "none", "model", "none", "none", "model", "none", "none")
    ]
    assert servers.service.received == []
    key = {"key": f"AIza{'x' * 35}"}
    assert httpx.get(f"{servers.url}/v1beta/models", params=key).status_code == 200


def history():
    turns = [("user", "I am ada.lovelace@example.org"), ("model", "Hello"), ("user", "My kettle")]
    return [{"role": role, "parts": [{"text": text}]} for role, text in turns]


@pytest.mark.parametrize(
    "body",
    [
        gemini_request(contents=history()),
        gemini_request(system=f"{INSTRUCTION} The customer is ada.lovelace@example.org."),
        gemini_request(labels={"ada.lovelace@example.org": ""}),
        gemini_request("My site is https://example.org/?mail=ada.lovelace%40example.org"),
        gemini_request("I am ada.lovelace\uff20example.org"),
        gemini_request("I am ada.love\u00adlace@exam\u200bple.org"),
        gemini_request(CYRILLIC),
        gemini_request(ARABIC),
        gemini_request("My card is \uff14111 1111 1111 1111"),
        gemini_request(contents=[{"parts": [{"text": "Read it"}, FILE]}]),
        gemini_request("![](data:image/png;base64,aGVsbG8=)"),
        gemini_request("I am ada.lovelace\u034f@exam\u20ddple.org"),
        gemini_request("I am ada.lovelace\x00@exam\x1fple.org"),
        gemini_request("My card is 4111\u31641111\uffa01111\u115f1111"),
        gemini_request("Pay back to DE89  3704  0044  0532  0130  00"),
        gemini_request("Pay back to GB82-WEST-1234-5698-7654-32"),
        gemini_request("My card is 4111.1111.1111.1111"),
        gemini_request("My card is 4111 / 1111 / 1111 / 1111"),
        gemini_request("?mail=ada.lovelace%252540example.org"),
        gemini_request("I am ada.lovelace&amp;#64;example.org"),
    ],
    ids=["history", "system text", "name of a field", "percent signs", "wide sign", "invisible",
         "Cyrillic", "Arabic digits", "wide digit", "file by address", "image in Markdown",
         "marks", "control characters", "fillers of Hangul", "two spaces", "dashes", "dots",
         "slashes", "percent signs twice", "entities"],
)  # fmt: skip
def test_in_private_mode_no_spelling_hides_personal_data(servers, body):
    servers.start(servers.settings(mode="private"))
    assert served(servers.post(GEMINI_PATH, body))[1] == "private"
    assert servers.service.received == []


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": "https://example.org/passport.png"}},
        {"type": "file", "file": {"file_id": "file-1"}},
        {"type": "file", "file": {"filename": "ada.lovelace@example.org.pdf"}},
        {"type": "input_file", "file_url": "https://example.org/cv.pdf"},
    ],
    ids=["image", "file", "file name", "address"],
)
def test_in_private_mode_files_stay_here_wherever_they_are(servers, part):
    servers.start(servers.settings(mode="private"))
    body = openai_request()
    body["messages"][-1]["content"] = [{"type": "text", "text": "Hello"}, part]
    assert servers.post(CHAT, body).headers["x-understudy-served-by"] != "service"
    assert servers.service.received == []


def test_in_private_mode_paths_queries_and_headers_are_searched(servers):
    servers.start(servers.settings(mode="private"))
    mail = "ada.lovelace@example.org"
    replies = [
        httpx.get(f"{servers.url}/v1beta/cachedContents/{mail}"),
        httpx.get(f"{servers.url}/v1beta/models?{mail}"),
        httpx.get(f"{servers.url}/v1beta/models?{mail}="),
        httpx.get(f"{servers.url}/v1beta/models", headers={"x-customer": mail}),
        httpx.get(f"{servers.url}/v1beta/models", headers={"cookie": f"user={mail}"}),
        servers.post(GEMINI_PATH, gemini_request(), x_customer="IBAN DE89370400440532013000"),
    ]
    assert [reply.headers["x-understudy-served-by"] for reply in replies] == ["none"] * 5 + [
        "model"
    ]
    assert servers.service.received == []


def test_in_private_mode_what_programs_write_is_no_personal_data(servers):
    servers.start(servers.settings(mode="private"))
    headers = {
        "user-agent": "shop/1.55.0 (ops@example.org)",
        "authorization": "Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmN",
        "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "x-forwarded-for": "203.0.113.195, 10.128.0.53",
        "x-request-id": "1764430000123-5551234567",
    }
    schema = {"type": "object", "properties": {"image_url": {"type": "string"}}}
    config = {"responseMimeType": "application/json", "responseSchema": schema}
    body = gemini_request("Hello", generationConfig=config)
    path = "/v1/projects/123456789012/locations/us-central1/publishers/google/models/gemini-x"
    for url in (GEMINI_PATH, f"{path}:generateContent"):
        reply = httpx.post(f"{servers.url}{url}", json=body, headers=headers)
        assert served(reply) == ("service", "ok"), reply.text


def test_in_private_mode_dates_and_prices_are_no_personal_data(servers):
    servers.start(servers.settings(mode="private"))
    body = gemini_request("Order 4711\nof 2026-11-01, 1.299,00 & 5 %:\n12/2026\n3 . 4 - 20 / 7")
    assert served(servers.post(GEMINI_PATH, body)) == ("service", "ok")


def test_in_private_mode_other_requests_go_to_the_service(servers):
    task = servers.task(instruction="Sort it. Write to help@example.com if unsure.")
    servers.start(servers.settings(mode="private"), [task])
    own = gemini_request("My order 4711 has not come", system=task.instruction)
    assert served(servers.post(GEMINI_PATH, own)) == ("service", "ok")
    assert httpx.get(f"{servers.url}/v1beta/models").status_code == 200
    servers.service.behavior = unavailable
    assert served(servers.post(GEMINI_PATH, own)) == ("model", "F6")
