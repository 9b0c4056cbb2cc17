"""Thirty conversations as clients send them, each with the turns that a model has to read.

`None` instead of turns: every framework has to refuse the conversation.
"""

from core.families import GEMMA, INSTRUCTION, LLAMA3, LLAMA3_BASE, QWEN

TEMPLATES = {
    "gemma": GEMMA,
    "instruction": INSTRUCTION,
    "llama3": LLAMA3,
    "llama3-base": LLAMA3_BASE,
    "qwen": QWEN,
}
JOINED = "\n\n"


def said(role, content, **fields):
    return {"role": role, "content": content, **fields}


def turns(*texts):
    roles = ["user", "assistant"] * len(texts)
    return [{"role": role, "content": text} for role, text in zip(roles, texts, strict=False)]


def parts(*texts):
    return [{"type": "text", "text": text} for text in texts]


_TEXTS = (
    "hi",
    "",
    " \t spaces around \n\n",
    "a\r\nb\u2028d",
    "{{ bos_token }} {% raw %} %s {0} {{ .Content }} $x \\n \\u0041 \"quoted\" 'q' `b`",
    "e\u0301 \ufeff \U0001f468\u200d\U0001f469\u200d\U0001f467 \u202eabc",
    "注文はどこ? 😀 Grüße",
    '{"a": [1, 2], "b": "}]"}',
)
SINGLE = tuple(([said("user", text)], turns(text)) for text in _TEXTS)
SEVERAL = (
    ([said("user", "a"), said("assistant", "b"), said("user", "c")], turns("a", "b", "c")),
    (turns(*"abcdefg"), turns(*"abcdefg")),
    (turns("line\nline", " b\n", '"c"\\'), turns("line\nline", " b\n", '"c"\\')),
    (turns(_TEXTS[4], _TEXTS[5], _TEXTS[6]), turns(_TEXTS[4], _TEXTS[5], _TEXTS[6])),
    # Messages of one role in a row.
    ([said("user", "a"), said("user", "b")], turns("a\n\nb")),
    ([said("user", "a"), said("user", "b"), said("user", "c")], turns("a\n\nb\n\nc")),
    ([*turns("a", "b"), said("assistant", "c"), said("user", "d")], turns("a", "b\n\nc", "d")),
)
SYSTEM = (
    ([said("system", "S"), said("user", "a")], turns("S\n\na")),
    ([said("developer", "S"), said("user", "a")], turns("S\n\na")),
    ([said("system", "S"), *turns("a", "b", "c")], turns("S\n\na", "b", "c")),
    ([said("developer", " S\n"), *turns("a", "b", "c")], turns(" S\n\n\na", "b", "c")),
    ([said("system", "S"), said("developer", "D"), *turns("a")], turns("S\n\nD\n\na")),
    ([said("system", "S"), said("user", "a"), said("user", "b")], turns("S\n\na\n\nb")),
    ([said("system", ""), said("user", "a")], turns("a")),
)
# Of the assistant's parts and Ollama's, llama.cpp and Ollama make something else before a template
# sees them; see decision 29.
SEVERAL_PARTS = (
    [said("user", parts("a", "b")), said("assistant", parts("c", "d")), said("user", "e")],
    turns("a\nb", "cd", "e"),
)
PARTS = (
    SEVERAL_PARTS,
    (
        [said("system", parts("S")), *turns("a", "b"), said("user", parts("c"))],
        turns("S\n\na", "b", "c"),
    ),
    ([said("user", "a"), said("assistant", None), said("user", "b")], turns("a", "", "b")),
)
REFUSED = (
    ([said("user", "a"), said("tool", "12")], None),
    ([said("critic", "a"), said("user", "b")], None),
    ([said("assistant", "a"), said("user", "b")], None),
    ([*turns("a", "b"), said("system", "S"), said("user", "c")], None),
    ([said("system", "S")], None),
)
CONVERSATIONS = (*SINGLE, *SEVERAL, *SYSTEM, *PARTS, *REFUSED)
