"""The mode `private`: what holds personal data never goes to the service, whatever hides it."""

import asyncio
import contextlib
import functools
import gzip
import json
import re

import aiohttp
import aiohttp.web
import httpx
import pytest

from core.errors import UserError
from serving.gateway import personal_data, websocket
from serving.gateway.mode_needs import ModeError, check_mode
from serving.gateway.personal_data import UnreadableBodyError, _any
from task.privacy import PrivacySettings, holds_any
from tests.serving.gateway import fakes
from tests.serving.gateway.harness import (
    GEMINI_PATH,
    INSTRUCTION,
    gemini_request,
    harness,
    openai_request,
)
from tests.serving.gateway.test_modes import CHAT, change, served

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
    servers.model.behavior = fakes.unavailable
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


@pytest.mark.parametrize("host", ["10.0.0.5", "models.example.org", "[2001:db8::1]"])
def test_a_model_on_another_machine_is_none_for_private_unless_that_is_said(servers, host):
    away = servers.task(base_url=f"http://{host}:8000/v1")
    settings = servers.settings()
    check = functools.partial(check_mode, "private", is_walk=False)
    with pytest.raises(ModeError, match=re.escape(host.strip("[]"))):
        check(settings, [servers.task(), away])
    allowed = settings.model.model_copy(update={"private_network": True})
    check(settings.model_copy(update={"model": allowed}), [servers.task(), away])


def test_a_gateway_does_not_start_in_private_with_a_model_elsewhere(servers):
    away = servers.task(base_url="http://10.0.0.5:8000/v1")
    with pytest.raises(UserError, match=r"set serving\.model\.private_network to true"):
        servers.start(servers.settings(mode="private"), [away])


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
        gemini_request("My card is 4111\u28001111\u28001111\u28001111"),
        gemini_request("I am ada.lovelace\ue000@exam\U000e0000ple.org"),
        gemini_request("My card is 4111\u20131111\u20131111\u20131111"),
        gemini_request("My card is 4111_1111_1111_1111"),
        gemini_request(r'{"phone": "\u002B4930901820"}'),  # as .NET writes a plus sign
        gemini_request(r'{"customer": "{\"mail\": \"ada\\u0040example.org\"}"}'),
    ],
    ids=["history", "system text", "name of a field", "percent signs", "wide sign", "invisible",
         "Cyrillic", "Arabic digits", "wide digit", "file by address", "image in Markdown",
         "marks", "control characters", "fillers of Hangul", "two spaces", "dashes", "dots",
         "slashes", "percent signs twice", "entities",
         "blank of Braille", "characters of nobody", "long dashes", "underscores",
         "JSON", "JSON in JSON"],
)  # fmt: skip
def test_in_private_mode_no_spelling_hides_personal_data(servers, body):
    servers.start(servers.settings(mode="private"))
    assert served(servers.post(GEMINI_PATH, body))[1] == "private"
    assert servers.service.received == []


CARD = "4111111111111111"


@pytest.mark.parametrize(
    "text",
    [
        "Write to ada @ example.org please",
        "I am ada@ example.org.",
        "I am ada @example.org",
        "I am ada.lovelace@\nexample.org",
        "I am ada @ example . org",
        "From: ada=40example.org",
        "I am ada@exam=\nple.org",
        "I am ada@exam=\r\nple.org",
        "?mail=ada%u0040example.org",
        "<b>ada</b>@<b>example.org</b>",
        "ada**@**example.org",
        "`ada`@`example.org`",
        "I am ada [at] example.org",
        "I am ada(at)example(dot)org",
        r'{"m":"ada.lovelace@\nexample.org"}',
        r'{"card":"4111\n1111\n1111\n1111"}',
        r'{"card":"4111\t1111\r\n1111\r1111"}',
        r'{"mail":"ada@exam=\r\nple.org"}',
        "| card | 4111 | 1111 | 1111 | 1111 | Visa |",
        "| 4111 | 1111 | 1111 | 1111 |",
        "> 4111\n> 1111\n> 1111\n> 1111",
        "4111=\r\n1111=\r\n1111=\r\n1111",
        "4111=201111=201111=201111",
        "card 4111          1111          1111          1111",
        "card 4111,1111,1111,1111",
        "card 4111:1111:1111:1111",
        "card 4111__1111__1111__1111",
        "card <td>4111</td><td>1111</td><td>1111</td><td>1111</td>",
        "IBAN DE89, 3704, 0044, 0532, 0130, 00",
        # Digits beyond the first 65,536 characters, as JSON within a text writes them.
        "My card is " + CARD.replace("4", r"\ud835\udfd2").replace("1", r"\\\\ud835\\\\udfcf"),
        "My card is " + CARD.replace("4", "%uD835%uDFD2"),
        "My card is " + CARD.replace("4", "\ud835\udfd2"),
        "My card is " + CARD.replace("1", r"\u{1d7cf}"),
        "My card is " + CARD.replace("1", r"\x{1d7cf}"),
        "My card is " + CARD.replace("1", r"\U0001d7cf"),
        "Call +49_30_901820",
        "Call +49 30\n90 18 20",
        "> +49\n> 30\n> 901820",
    ],
)  # fmt: skip
def test_in_private_mode_no_way_of_writing_hides_personal_data(text):
    assert _any([text], [PrivacySettings()])


@pytest.mark.parametrize(
    "text", [r"\ud835", "\ud835 \udfd2", r"\U99999999", r"\u{110000}", "%udfd2"]
)
def test_half_a_character_and_no_character_are_read_over(text):
    assert not _any([f"My kettle {text} leaks"], [PrivacySettings()])


@pytest.mark.parametrize(
    "text",
    [
        "Meet at 5 @ the office. In the morning, 10 @ 4.50 EUR each",
        "x = 1\n@app.route('/orders')\ndef orders():\n    return 1\n\n\n@pytest.mark.slow\n@a.b",
        "scores = q @ k.T\ny = x @ self.weight + b @ w.in_features\nz = a @ b.to(c) @ d.to[0]",
        "day,sold,price\n2026-11-01,4711,12.99\n2026-11-02,4803,13.49\n2026-11-03,5120,9.99",
        "| year | Q1 | Q2 | Q3 | Q4 |\n|---|---|---|---|---|\n| 2024 | 4512 | 4803 | 5120 | 5344 |",
        "1.299,00 EUR, 12/2026, 10:30:45, 2026-11-01T10:30:45Z, +5 %, +1.5 to +2.5, +12,500,300",
        "0.1234 0.5678 0.9101 0.1121\n4.1234 5.5678 6.9101 7.1121",
        "if a=40 and b==41: c=[4111, 1111, 2222]; d={'x': 1, 'y': 2}",
        "https://example.org/a=20b?c=3D&page=12",
        r"C:\new\reports\table_2026.csv and \d{4}\n{2}",
        "<p>Order <b>4711</b> of <i>2026-11-01</i></p> @media (max-width: 600px) { a { b: 1 } }",
        "SN AB12-3456-7890-1234, ISBN 978-3-16-148410-0, 192.168.10.250:8080, v1.2.3-rc.4",
    ],
)  # fmt: skip
def test_in_private_mode_programs_tables_and_figures_are_no_personal_data(text):
    assert not _any([text], [PrivacySettings()])


@pytest.mark.parametrize(
    "part",
    [
        "@", "a@", "a @ ", "a @ b. ", "a@b.", "[at]", "< @", "<a", "=4", "=41", "\\n", "%u004", "&",
        " ", " \n", "- ", "_ ", "1a", "AB12xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx_", "AB12 x ",
        "-----BEGIN PRIVATE KEY-----", "eyJ-", "eyJaaaaaaaaaa.", "+1", "a1,",
    ],
)  # fmt: skip
def test_a_hostile_text_is_searched_in_time_that_grows_with_its_length(monkeypatch, part):
    """A search that goes back to where it began would take hours here."""
    searched = []

    def counted(text, *settings):
        searched.append(len(text))
        return holds_any(text, *settings)

    monkeypatch.setattr(personal_data, "holds_any", counted)
    text = part * (100_000 // len(part))
    with contextlib.suppress(UnreadableBodyError):
        _any([text], [PrivacySettings()])
    assert sum(searched) <= 6 * len(text)


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


@pytest.mark.parametrize(
    "part",
    [
        {"inlineData": {"mimeType": "image/png", "data": "aGk="}},
        {"inline_data": {"mime_type": "image/png", "data": "aGk="}},
        {"fileData": {"fileUri": "gs://bucket/cv.pdf"}},
        {"file_data": {"file_uri": "gs://bucket/cv.pdf"}},
    ],
    ids=lambda part: next(iter(part)),
)
def test_in_private_mode_files_stay_here_in_both_spellings_of_gemini(servers, part):
    servers.start(servers.settings(mode="private"))
    body = gemini_request("Hello")
    body["contents"][0]["parts"].append(part)
    assert servers.post(GEMINI_PATH, body).headers["x-understudy-served-by"] != "service"
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


def test_in_private_mode_numbers_that_take_minutes_to_search_stay_here(servers):
    servers.start(servers.settings(mode="private"))
    reply = servers.post(GEMINI_PATH, gemini_request("4/" * 5000))
    assert served(reply)[1] == "private"
    assert servers.service.received == []
    rows = "\n".join(f"{day}.11.2026, {day} kettles" for day in range(10, 30))
    assert served(servers.post(GEMINI_PATH, gemini_request(rows))) == ("service", "ok")


def test_in_private_mode_dates_and_prices_are_no_personal_data(servers):
    servers.start(servers.settings(mode="private"))
    body = gemini_request("Order 4711\nof 2026-11-01, 1.299,00 & 5 %:\n12/2026\n3 . 4 - 20 / 7")
    body["contents"][0]["parts"].append(
        {"text": r"C:\users\u0031 \u00e9 2020\u20132024, S. 12\u201319"}
    )
    assert served(servers.post(GEMINI_PATH, body)) == ("service", "ok")


@pytest.mark.parametrize(
    ("mode", "values", "is_idle"),
    [
        ("private", {}, True),
        ("private", {}, False),
        ("model", {"model_failover": "off"}, False),
    ],
    ids=["private, idle", "private", "service off"],
)
def test_an_open_websocket_ends_where_nothing_may_go_to_the_service(
    monkeypatch, mode, values, is_idle
):
    monkeypatch.setattr(websocket, "_POLL_SECONDS", 0.01 if is_idle else 3600)
    received = []

    async def handle(request):
        connected = aiohttp.web.WebSocketResponse()
        await connected.prepare(request)
        async for message in connected:
            received.append(message.data)
            await connected.send_str("heard")
        return connected

    async def talk():
        app = aiohttp.web.Application()
        app.router.add_get("/{path:.*}", handle)
        runner = aiohttp.web.AppRunner(app)
        await runner.setup()
        site = aiohttp.web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = site._server.sockets[0].getsockname()[1]
        with harness() as servers:
            servers.start(servers.settings(base_url=f"http://127.0.0.1:{port}", **values))
            async with (
                aiohttp.ClientSession() as session,
                session.ws_connect(f"{servers.url}/ws/live") as client,
            ):
                await client.send_str("hello")
                assert (await client.receive()).data == "heard"
                await asyncio.to_thread(change, servers, mode)
                if not is_idle:
                    await client.send_str("I am ada.lovelace@example.org")
                assert (await client.receive()).type is aiohttp.WSMsgType.CLOSE
                assert client.close_code == 1008
            await runner.cleanup()

    asyncio.run(talk())
    assert received == ["hello"]


def test_in_private_mode_other_requests_go_to_the_service(servers):
    task = servers.task(instruction="Sort it. Write to help@example.com if unsure.")
    servers.start(servers.settings(mode="private"), [task])
    own = gemini_request("My order 4711 has not come", system=task.instruction)
    assert served(servers.post(GEMINI_PATH, own)) == ("service", "ok")
    assert httpx.get(f"{servers.url}/v1beta/models").status_code == 200
    servers.service.behavior = fakes.unavailable
    assert served(servers.post(GEMINI_PATH, own)) == ("model", "F6")
