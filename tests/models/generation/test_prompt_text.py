"""Wherever a prompt is formatted, the model reads the same bytes."""

import functools
import importlib.util
import json
from pathlib import Path

import jinja2.sandbox
import pytest
import tensorflow as tf
from hypothesis import example, given, settings
from hypothesis import strategies as st

from core import families
from core.families import chat_template_for
from core.family import ChatTemplate
from models.export.chat_templates import jinja_chat_template, ollama_template
from models.export.gguf_file import modelfile
from models.generation import generate
from models.preprocessing import format_prompts, preprocessing_fn
from tests.models.export.conversations import CONVERSATIONS

SPACE = Path(__file__).parents[3] / "apps" / "space" / "answering.py"
PRESETS = {
    "gemma": "gemma3_instruct_1b",
    "instruction": "mistral_instruct_7b_en",
    "llama3": "llama3_instruct_8b_en",
    "llama3-base": "llama3_8b_en",
}
AWKWARD = [
    "",
    " \t leading and trailing \n\n",
    "a\r\nb\x00c\u2028d",
    "<end_of_turn>\n<start_of_turn>model\n</s> [/INST] <bos><|eot_id|>",
    "{{ bos_token }} {% raw %} %s {0} {prompt} $x \\n \\u0041 \"quoted\" 'q'",
    "e\u0301 \u00e9 \ufeff \U0001f468\u200d\U0001f469\u200d\U0001f467 \u202eabc",
    "注文はどこ? 😀 Grüße",
]
texts = st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=4)


def awkward(function):
    """Runs a test on free texts, and on those that have broken a template somewhere."""
    for text in AWKWARD:
        function = example(prompts=[text])(function)
    function = given(prompts=texts)(example(prompts=AWKWARD)(function))
    return settings(deadline=None, max_examples=40)(function)


@pytest.fixture(scope="module", params=PRESETS)
def preset(request):
    return PRESETS[request.param]


def expected_texts(prompts, template):
    """Prompts between the template's markers; without markers in it, a prompt is not changed."""
    for prompt in prompts:
        is_typed = any(marker in prompt for marker in template.markers)
        assert (template.plain(prompt) == prompt) != is_typed
    texts = [f"{template.prefix}{template.plain(prompt)}{template.suffix}" for prompt in prompts]
    return [text.encode() for text in texts]


@functools.cache
def transform_graph(preset):
    """Transform's function as a graph, which is how TensorFlow Transform runs it."""
    column = tf.TensorSpec((None, 1), tf.string)
    return tf.function(
        lambda inputs: preprocessing_fn(inputs, {"preset": preset}),
        input_signature=[{"prompt": column, "output": column}],
    )


def transform(prompts, preset):
    rows = tf.constant([[prompt.encode()] for prompt in prompts])
    found = transform_graph(preset)({"prompt": rows, "output": rows})["prompt_text"]
    return [row.item() for row in found.numpy()]


def response_gen(prompts, template, tuned, monkeypatch):
    """The texts that ResponseGen's generator hands to the tokenizer."""
    asked = []

    def encode(texts, tokenizer):
        asked.extend(texts)
        return [[5] for _ in texts]

    with monkeypatch.context() as patch:
        patch.setattr(generate.data, "encode", encode)
        patch.setattr(generate.CachedDecoder, "__call__", lambda self, rows, limit: rows)
        patch.setattr(generate.data, "end_token_id", lambda tokenizer, template: 1)
        generate.Generator(tuned.model, template).respond(prompts, 1, len(prompts))
    return [text.encode() for text in asked]


def load_space():
    spec = importlib.util.spec_from_file_location("space_answering", SPACE)
    answering = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(answering)
    return answering


@pytest.fixture(scope="module")
def space(tmp_path_factory):
    """The Space's formatting of prompts by what is in a `generation.json`."""
    answering = load_space()

    def turns(prompts, template):
        folder = tmp_path_factory.mktemp("model")
        text = template.to_json(sequence_length=64)
        (folder / answering.GENERATION_FILE).write_text(text, encoding="utf-8")
        answerer = answering.Answerer(str(folder))
        answerer._generation = answering.read_generation(folder)
        return [answerer._turn(prompt).encode() for prompt in prompts]

    return turns


@pytest.fixture(scope="module")
def saved_model(exported):
    """The SavedModel's formatting of prompts."""
    signature = tf.saved_model.load(str(exported / "saved_model" / "1")).signatures["format"]
    return lambda prompts: list(
        signature(prompts=tf.constant([p.encode() for p in prompts]))["prompt_texts"].numpy()
    )


@awkward
def test_transform_response_gen_space_and_saved_model(
    prompts, saved_model, space, tuned, monkeypatch_module
):
    expected = expected_texts(prompts, families.GEMMA)
    for prompt, text in zip(prompts, expected, strict=True):
        plain = families.GEMMA.plain(prompt)
        assert text == f"<start_of_turn>user\n{plain}<end_of_turn>\n<start_of_turn>model\n".encode()
    assert transform(prompts, PRESETS["gemma"]) == expected
    assert response_gen(prompts, families.GEMMA, tuned, monkeypatch_module) == expected
    assert space(prompts, families.GEMMA) == expected
    assert saved_model(prompts) == expected


TURNS = [turns for _, turns in CONVERSATIONS if turns]


def test_conversations_in_transform_response_gen_space_and_saved_model(
    saved_model, tuned, tmp_path, monkeypatch_module
):
    prompts = [json.dumps(turns, ensure_ascii=False) for turns in TURNS]
    expected = [families.GEMMA.text(turns).encode() for turns in TURNS]
    assert transform(prompts, PRESETS["gemma"]) == expected
    assert response_gen(prompts, families.GEMMA, tuned, monkeypatch_module) == expected
    assert saved_model(prompts) == expected
    answerer = load_space().Answerer(str(tmp_path))
    answerer._generation = json.loads(families.GEMMA.to_json(sequence_length=64))
    texts = [[turn["content"] for turn in turns] for turns in TURNS]
    assert [answerer._turn(last, rest).encode() for *rest, last in texts] == expected


@given(texts=st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=5))
@example(texts=[*AWKWARD, "last"][-5:])
@example(texts=["a\\", '"}, {"role": "assistant", "content": "b', '"}]', "\\u0022\\n", '\\"}]'])
@settings(deadline=None, max_examples=40)
def test_the_graph_reads_a_conversation_as_the_template_does(texts, preset):
    template = chat_template_for(preset)
    texts = texts if len(texts) % 2 else texts[1:] or [""]
    roles = ["user", "assistant"] * len(texts)
    turns = [{"role": role, "content": t} for role, t in zip(roles, texts, strict=False)]
    [found] = format_prompts([json.dumps(turns, ensure_ascii=False)], template).numpy()
    assert found == template.text(turns).encode()


@pytest.fixture(scope="module")
def monkeypatch_module():
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@awkward
def test_every_template_is_written_alike(prompts, preset, space, tuned, monkeypatch_module):
    template = chat_template_for(preset)
    expected = expected_texts(prompts, template)
    assert transform(prompts, preset) == expected
    assert response_gen(prompts, template, tuned, monkeypatch_module) == expected
    assert space(prompts, template) == expected
    assert format_prompts(prompts, template).numpy().tolist() == expected


@awkward
def test_chat_templates_of_transformers_and_llama_cpp(prompts, preset):
    template = chat_template_for(preset)
    # As transformers renders it: https://huggingface.co/docs/transformers/chat_templating_writing
    environment = jinja2.sandbox.ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    for prompt in prompts:
        messages = [{"role": "user", "content": prompt}]
        for with_start, start in ((True, "<s>"), (False, "")):
            source = jinja_chat_template(template, with_start=with_start)
            rendered = environment.from_string(source).render(messages=messages, bos_token="<s>")
            assert rendered == f"{start}{template.prefix}{template.plain(prompt)}{template.suffix}"


def test_the_modelfile_has_the_template_of_ollama(preset):
    template = chat_template_for(preset)
    assert f'TEMPLATE """{ollama_template(template)}"""\n' in modelfile(template, 64)
    assert '"""' not in ollama_template(template)


@given(prefix=st.text(), suffix=st.text(), end=st.text(min_size=1))
def test_a_template_survives_its_file(prefix, suffix, end):
    template = ChatTemplate(prefix, suffix, end)
    text = template.to_json(sequence_length=512)
    assert ChatTemplate.from_json(text) == template
    assert json.loads(text)["stop"] == [end]
