"""What docs/takeover.md says at three in the morning is what the gateway says and takes."""

import ast
import json
import os
import re
import textwrap

import openai
import pytest
from google import genai
from google.auth.credentials import Credentials
from google.genai import types

from core.captured import CapturedExchange
from tests.docs.guides import REPOSITORY
from tests.serving.gateway.harness import INSTRUCTION, MODEL_TEXT, PROMPT, SERVICE_TEXT, harness

DOCS = REPOSITORY / "docs"
PAGE = (DOCS / "takeover.md").read_text(encoding="utf-8")
TABLES = PAGE + (DOCS / "cutover.md").read_text(encoding="utf-8")
SOURCES = sorted((REPOSITORY / "serving").rglob("*.py"))
_SNIPPET = re.compile(r"^ *```python\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
_ALARM = re.compile(r"^\| `([a-z_]+)[:`]", re.MULTILINE)


def names_raised():
    """The first words of all alarms that the code sets by name."""
    for source in SOURCES:
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            is_call = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
            if not (is_call and node.func.attr == "set" and node.args):
                continue
            if not ast.unparse(node.func.value).endswith("alarms"):
                continue
            name = node.args[0]
            text = name.values[0] if isinstance(name, ast.JoinedStr) else name
            if isinstance(text, ast.Constant):
                yield text.value.partition(":")[0]


def test_every_alarm_is_in_a_table_with_what_to_do():
    told = set(_ALARM.findall(TABLES))
    raised = {*names_raised(), "service", "tuned_model"}  # these two by the names of breakers
    assert {"key", "project", "model", "match_share", "capture", "keys", "mode", "watch"} <= raised
    assert raised <= told


def test_messages_that_the_page_quotes_are_the_gateways():
    quoted = re.findall(r'^\| 503,? .*?"([^"]+)"', PAGE, re.MULTILINE)
    assert len(quoted) == 3
    text = " ".join(
        " ".join(source.read_text(encoding="utf-8").split()).replace('" "', "").lower()
        for source in SOURCES
    )
    for message in quoted:
        for part in message.lower().split(": "):
            assert part in text, part


def test_the_line_of_a_captured_exchange_is_one():
    [block] = re.findall(r"^```json\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    exchange = CapturedExchange.from_json(json.dumps(json.loads(block)))
    assert (exchange.served_by, exchange.service.status) == ("service", 200)


@pytest.fixture
def gateway(monkeypatch):
    monkeypatch.setattr("google.auth.default", lambda **_: (Bearer(), "p"))
    with harness() as servers:
        yield servers


class Bearer(Credentials):
    def refresh(self, request):
        self.token = "ya29.a-token"


def ask(client):
    """The text of an answer, by whichever client it is."""
    if isinstance(client, openai.OpenAI):
        messages = [{"role": "system", "content": INSTRUCTION}, {"role": "user", "content": PROMPT}]
        answer = client.chat.completions.create(model="gemini-x", messages=messages)
        return answer.choices[0].message.content
    config = types.GenerateContentConfig(system_instruction=INSTRUCTION)
    answer = client.models.generate_content(model="gemini-x", contents=PROMPT, config=config)
    return answer.text


def test_clients_made_as_the_page_says_are_answered_before_and_in_an_outage(gateway):
    gateway.start()
    snippet = textwrap.dedent(_SNIPPET.findall(PAGE)[0]).replace(
        "http://127.0.0.1:8100", gateway.url
    )
    names = {"genai": genai, "openai": openai, "KEY": "a-key", "P": "p", "L": "europe-west4"}
    made = [eval(ast.unparse(line.value), names) for line in ast.parse(snippet).body]
    assert [type(client).__name__ for client in made] == ["Client", "Client", "OpenAI"]
    assert [ask(client) for client in made] == [SERVICE_TEXT] * 3
    gateway.run(gateway.service.stop())
    assert [ask(client) for client in made] == [MODEL_TEXT] * 3


def test_a_client_that_brings_the_gateways_key_is_let_in_as_the_page_says(gateway, monkeypatch):
    monkeypatch.setenv("GATEWAY_KEY", "the-gateways-key")
    gateway.start(gateway.settings(key_env="GATEWAY_KEY"))
    names = {"genai": genai, "os": os, "P": "p", "L": "europe-west4", "GATEWAY": gateway.url}
    first, last = ast.parse(_SNIPPET.findall(PAGE)[1]).body
    exec(ast.unparse(first), names)
    assert ask(eval(ast.unparse(last.value), names)) == SERVICE_TEXT
    [received] = gateway.service.received
    assert received.header("authorization") == "Bearer ya29.a-token"
    assert not received.header("x-understudy-key")  # it stays here
