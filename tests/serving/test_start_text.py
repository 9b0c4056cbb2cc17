"""What a gateway says once it is ready can be pasted."""

import json
import shlex

import httpx
import pytest

from serving.start_text import ready_text, sample_command
from tests.serving.gateway.harness import MODEL_TEXT, harness


def posted(command):
    """The URL, the headers and the body that curl would send."""
    words = shlex.split(command.replace("\\\n", ""))
    assert words[:2] == ["curl", "-s"]
    headers = dict(words[n + 1].split(": ") for n, word in enumerate(words) if word == "-H")
    return words[2], headers, words[-1]


def test_the_command_asks_the_tuned_model():
    with harness() as servers:
        servers.start(tasks=[servers.task(samples=('It isn\'t a "lamp", $HOME.', "x" * 100))])
        task = servers.app._gateway.served.tasks[0]
        url, headers, body = posted(sample_command(task, servers.url, None, shows_prompt=True))
        answer = httpx.post(url, headers=headers, content=body.encode())
    assert json.loads(body)["text"] == 'It isn\'t a "lamp", $HOME.'
    assert answer.json()["text"] == MODEL_TEXT


@pytest.mark.parametrize(
    ("samples", "shows_prompt"), [((), True), (("x" * 500,), True), (("I am Jane Roe.",), False)]
)
def test_without_a_short_sample_and_in_a_log_there_is_a_placeholder(samples, shows_prompt):
    with harness() as servers:
        command = sample_command(
            servers.task(samples=samples),
            "http://127.0.0.1:1",
            "GATE_KEY",
            shows_prompt=shows_prompt,
        )
    _, headers, body = posted(command)
    assert json.loads(body)["text"] == "YOUR MESSAGE"
    assert headers["x-understudy-key"] == "$GATE_KEY"


def test_the_lines_fit_a_terminal():
    with harness() as servers:
        tasks, url = [servers.task(samples=("Hi.",))], "http://127.0.0.1:8100"
        text = ready_text(tasks, url, None, shows_prompt=True)
    assert max(map(len, text.split("\n"))) <= 80
