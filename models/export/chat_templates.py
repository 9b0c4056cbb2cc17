"""The chat template in the languages of other frameworks: Jinja, and Go's for Ollama.

All of them treat the roles as the pipeline does: texts of system and developer stand before the
first turn of the user, messages of one role in a row are joined, parts of a text too (decision 29),
and any other role is refused.
"""

import json

from core.conversation import JOINED, JOINED_PARTS
from core.family import ChatTemplate

# In one line each, since white space between two tags would become text.
_JINJA = (
    "{% set ns = namespace(before='', last='', text='') %}",
    "{% for message in messages %}",
    "{% if message['tool_calls'] %}{{ raise_exception('It calls tools.') }}{% endif %}",
    "{% set ns.text = '' %}",
    "{% if message['content'] is string %}{% set ns.text = message['content'] %}",
    "{% elif message['content'] %}{% for part in message['content'] %}",
    "{% if part['type'] != 'text' %}",
    "{{ raise_exception('Only text is supported, not ' ~ part['type']) }}{% endif %}",
    "{% if not loop.first and message['role'] != 'assistant' %}",
    "{% set ns.text = ns.text ~ %(parts)s %}{% endif %}",
    "{% set ns.text = ns.text ~ part['text'] %}{% endfor %}{% endif %}",
    "{% set text = ns.text%(split)s %}",
    "{% if message['role'] == 'system' or message['role'] == 'developer' %}",
    "{% if ns.last %}{{ raise_exception('The system message must be the first.') }}{% endif %}",
    "{% if text %}{% set ns.before = ns.before ~ text ~ %(joined)s %}{% endif %}",
    "{% elif message['role'] == 'user' %}",
    "{% if ns.last == 'user' %}{{ %(joined)s ~ text }}{% else %}",
    "{% if ns.last == 'assistant' %}{{ %(between)s }}{% endif %}",
    "{{ %(prefix)s ~ ns.before ~ text }}{% set ns.before = '' %}{% endif %}",
    "{% set ns.last = 'user' %}",
    "{% elif message['role'] == 'assistant' %}",
    "{% if ns.last == 'user' %}{{ %(suffix)s ~ text }}",
    "{% elif ns.last == 'assistant' %}{{ %(joined)s ~ text }}",
    "{% else %}{{ raise_exception('The first turn must be of the user.') }}{% endif %}",
    "{% set ns.last = 'assistant' %}",
    "{% else %}{{ raise_exception('The role is unknown: ' ~ message['role']) }}{% endif %}",
    "{% endfor %}",
    "{% if ns.last == 'user' %}{{ %(suffix)s }}",
    "{% elif ns.last == 'assistant' %}{{ %(end)s }}",
    "{% else %}{{ raise_exception('There is no turn of the user.') }}{% endif %}",
)
# `slice` of an empty text is how a template of Go refuses: it has no function for it.
_REFUSE = '{{ slice "" 1 }}'
_OLLAMA = (
    '{{ $before := "" }}{{ $last := "" }}{{ range .Messages }}',
    '{{ if or (eq .Role "system") (eq .Role "developer") }}',
    "{{ if $last }}%(refuse)s{{ end }}",
    "{{ if .Content }}{{ $before = print $before .Content %(joined)s }}{{ end }}",
    '{{ else if eq .Role "user" }}',
    '{{ if eq $last "user" }}{{ %(joined)s }}{{ else }}',
    '{{ if eq $last "assistant" }}{{ %(between)s }}{{ end }}',
    '{{ %(prefix)s }}{{ $before }}{{ $before = "" }}{{ end }}{{ .Content }}{{ $last = "user" }}',
    '{{ else if eq .Role "assistant" }}',
    '{{ if eq $last "user" }}{{ %(suffix)s }}{{ else if $last }}{{ %(joined)s }}',
    "{{ else }}%(refuse)s{{ end }}",
    '{{ .Content }}{{ $last = "assistant" }}',
    "{{ else }}%(refuse)s{{ end }}{{ end }}",
    # After a turn of the assistant it goes on with that turn, as Ollama's own templates do.
    '{{ if eq $last "user" }}{{ %(suffix)s }}{{ else if not $last }}%(refuse)s{{ end }}',
)


def jinja_chat_template(template: ChatTemplate, *, with_start: bool = True) -> str:
    """Return the Jinja template that renders messages as the model reads them.

    Args:
        template: How the model is prompted.
        with_start: Whether the beginning of sequence is part of it; llama.cpp adds it to any text.
    """
    split = "".join(
        f" | replace({_quoted(marker)}, {_quoted(text)})"
        for marker, text in template.split_markers.items()
    )
    start = "{{ bos_token }}" if with_start else ""
    return start + _filled(_JINJA, template, split=split)


def ollama_template(template: ChatTemplate) -> str:
    """Return the template of a Modelfile, in the language of Go's text/template.

    It cannot replace texts: turn markers that a person types stay markers in Ollama.
    """
    return _filled(_OLLAMA, template, refuse=_REFUSE)


def _filled(lines: tuple[str, ...], template: ChatTemplate, **values: str) -> str:
    values |= {
        "prefix": _quoted(template.prefix),
        "suffix": _quoted(template.suffix),
        "end": _quoted(template.end),
        "between": _quoted(template.end + template.between),
        "joined": _quoted(JOINED),
        "parts": _quoted(JOINED_PARTS),
    }
    text = "".join(lines)
    for name, value in values.items():
        text = text.replace(f"%({name})s", value)
    return text


def _quoted(text: str) -> str:
    # Jinja of llama.cpp does not read \\u escapes.
    return json.dumps(text, ensure_ascii=False)
