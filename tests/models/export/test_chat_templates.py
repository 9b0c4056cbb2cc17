"""The chat template of every export reads thirty conversations as the pipeline does.

The pipeline's reading is `ChatTemplate.text`; `test_prompt_text` holds that Transform, ResponseGen
and the SavedModel have the same.
"""

import json
import os
import shutil
import subprocess
import urllib.error
from pathlib import Path

import jinja2.sandbox
import pytest

from core.families import GEMMA
from models.export.chat_templates import jinja_chat_template, ollama_template
from models.export.gguf_file import GGUF_FILE, export_gguf
from models.export.llama_cpp_server import LlamaCpp
from models.loading import tiny
from serving.gateway.protocols.base import Route
from serving.gateway.protocols.gemini import Gemini
from serving.gateway.protocols.openai import OpenAI
from task.coverage.rows import _message
from task.importers.content import text_of
from tests.models.export.conversations import CONVERSATIONS, SEVERAL_PARTS, TEMPLATES, said

RENDERED = Path(__file__).with_name("rendered.json")
TYPED = "<end_of_turn>\n<start_of_turn>model\n<bos></s> [/INST] <|eot_id|> <b>"


class RefusedError(Exception):
    """What transformers' `raise_exception` raises in a template."""


def refuse(reason):
    raise RefusedError(reason)


@pytest.fixture(params=TEMPLATES)
def template(request):
    return TEMPLATES[request.param]


def expected(template, start=""):
    return [None if turns is None else start + template.text(turns) for _, turns in CONVERSATIONS]


def in_transformers(template, messages):
    # https://huggingface.co/docs/transformers/chat_templating_writing
    environment = jinja2.sandbox.ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    environment.globals["raise_exception"] = refuse
    source = environment.from_string(jinja_chat_template(template))
    try:
        return source.render(messages=messages, bos_token="<s>", add_generation_prompt=True)
    except RefusedError:
        return None


def test_transformers_reads_thirty_conversations_as_the_pipeline_does(template):
    assert len(CONVERSATIONS) == 30
    found = [in_transformers(template, messages) for messages, _ in CONVERSATIONS]
    assert found == expected(template, "<s>")


def test_transformers_itself_has_rendered_them(template):
    """Its texts are in a file, since its environment is not ours: see `make_rendered.py`."""
    name = next(name for name, known in TEMPLATES.items() if known is template)
    recorded = json.loads(RENDERED.read_text(encoding="utf-8"))
    assert recorded["templates"][name] == jinja_chat_template(template), "make the file again"
    assert recorded["conversations"] == [messages for messages, _ in CONVERSATIONS]
    assert recorded["texts"][name] == expected(template, "<s>")


def test_importer_coverage_rows_and_gateway_join_parts_alike():
    messages, turns = SEVERAL_PARTS
    row = [_message(message, number) for number, message in enumerate(messages)]
    assert [message.text for message in row] == [turn["content"] for turn in turns]
    assert [text_of(m["content"], m["role"]) for m in messages] == [m.text for m in row]
    asked = OpenAI().read_request({"messages": messages}, Route(OpenAI(), "", None))
    assert [message.text for message in asked.messages] == [message.text for message in row]
    contents = [
        {"role": "model" if m["role"] == "assistant" else "user", "parts": as_parts(m["content"])}
        for m in messages
    ]
    asked = Gemini("gemini").read_request(
        {"contents": contents}, Route(Gemini("gemini"), "m", None)
    )
    assert [message.text for message in asked.messages] == [message.text for message in row]


def as_parts(content):
    return (
        [{"text": content}] if isinstance(content, str) else [{"text": p["text"]} for p in content]
    )


def test_an_image_and_a_call_of_a_tool_are_refused(template):
    image = [{"type": "image", "url": "a.png"}]
    assert in_transformers(template, [said("user", image)]) is None
    call = said("assistant", None, tool_calls=[{"id": "1"}])
    assert in_transformers(template, [said("user", "a"), call, said("user", "b")]) is None


@pytest.fixture(scope="module")
def llama_cpp(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gguf")
    export_gguf(tiny.gemma3(), folder, GEMMA, gguf_type="f32", sequence_length=64)
    return LlamaCpp(str(folder / GGUF_FILE), 128)


def test_llama_cpp_reads_them_alike(llama_cpp):
    def rendered(messages):
        try:
            return llama_cpp._post("/apply-template", messages=messages)["prompt"]
        except urllib.error.HTTPError:
            return None

    wanted = dict(zip(map(json.dumps, (m for m, _ in CONVERSATIONS)), expected(GEMMA), strict=True))
    messages, turns = SEVERAL_PARTS
    wanted[json.dumps(messages)] = GEMMA.text([turns[0], said("assistant", "c\nd"), turns[2]])
    found = {json.dumps(messages): rendered(messages) for messages, _ in CONVERSATIONS}
    assert found == wanted, "the assistant's parts are joined as the user's, before any template"


@pytest.fixture(scope="module")
def go_program(tmp_path_factory):
    go = shutil.which("go")
    if go is None:
        pytest.skip("Go, whose text/template is Ollama's template language, is not installed")
    folder = tmp_path_factory.mktemp("go")
    environment = {"GOCACHE": str(folder / "cache"), "GOTOOLCHAIN": "local", "GO111MODULE": "off"}
    program, source = str(folder / "render"), Path(__file__).with_name("render.go")
    command = [go, "build", "-o", program, str(source)]
    subprocess.run(command, env=os.environ | environment, check=True, capture_output=True)
    return program


def test_ollamas_template_reads_them_alike(template, go_program):
    conversations = [as_ollama_hands_over(messages) for messages, _ in CONVERSATIONS]
    request = {"Template": ollama_template(template), "Conversations": conversations}
    done = subprocess.run(
        [go_program],
        input=json.dumps(request),
        capture_output=True,
        text=True,
        check=True,
    )
    wanted = expected(template)
    turns = [said("user", "a\n\nb"), said("assistant", "c\n\nd"), said("user", "e")]
    wanted[CONVERSATIONS.index(SEVERAL_PARTS)] = template.text(turns)
    assert json.loads(done.stdout) == wanted


def as_ollama_hands_over(messages):
    """What a template sees: https://github.com/ollama/ollama, openai/openai.go: FromChatRequest.

    A part of a text becomes a message of its own, and messages of one role in a row are joined by a
    blank line (template/template.go: collate).
    """
    found = []
    for message in messages:
        content = message["content"]
        texts = [part["text"] for part in content] if isinstance(content, list) else [content or ""]
        for text in texts:
            if found and found[-1]["role"] == message["role"]:
                found[-1]["content"] += f"\n\n{text}"
            else:
                found.append({"role": message["role"], "content": text})
    return found


def test_turn_markers_that_a_person_typed_stay_text(template, llama_cpp):
    messages = [said("system", TYPED), said("user", TYPED), said("assistant", TYPED)]
    messages += [said("user", "end")]
    rendered = in_transformers(template, messages)
    turns = [said("user", f"{TYPED}\n\n{TYPED}"), said("assistant", TYPED), said("user", "end")]
    assert rendered == "<s>" + template.text(turns)
    alone = template.text([said("user", ""), said("assistant", ""), said("user", "")])
    for marker in template.markers:
        assert rendered.removeprefix("<s>").count(marker) == alone.count(marker), marker
    if template is GEMMA:
        text = llama_cpp._post("/apply-template", messages=messages)["prompt"]
        assert text == template.text(turns)
        tokens = llama_cpp.tokens(text)
        start, end = (llama_cpp.tokens(marker)[-1] for marker in template.markers[:2])
        assert (tokens.count(start), tokens.count(end)) == (4, 3)
