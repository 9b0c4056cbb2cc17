"""Take away what models put around an output: code fences and lead-ins."""

import re

_FENCE = re.compile(r"^[ \t]*(`{3,}|~{3,})[^\n`]*\n(.*?)^[ \t]*\1[ \t]*$", re.DOTALL | re.MULTILINE)
# A first line that announces the output, in the languages that models answer in most.
_NOUNS = (
    r"(?:answer|query|sql|code|json|result|output|response|summary|reply|translation|abfrage|antwort"
    r"|ergebnis|zusammenfassung|requête|réponse|consulta|respuesta|resumen)"
)
# The same on the line of the output itself; only where it names what follows.
_INLINE_LEAD_IN = re.compile(
    r"\A\s*(?:(?:sure|certainly|of course|okay|ok|gerne|claro|voici)[,.!:]?\s+)?"
    r"(?:(?:here(?:['\u2019]s| is)|hier ist|voici|aquí está|esta es|this is)\s+)?"
    rf"(?:the|your|a|die|das|der|la|le|el)\s+(?:\w+\s+)?{_NOUNS}"
    r"(?:\s+(?:is|you asked for|ist|es))?[ \t]*:[ \t]*\n*(?=[ \t]*\S)",
    re.IGNORECASE,
)
_LEAD_IN = re.compile(
    r"\A\s*(?:(?:sure|certainly|of course|absolutely|okay|ok|great|gladly|gerne|natürlich|klar"
    r"|bien sûr|voici|claro|por supuesto|aquí|certo|ecco|here|below|the following|hier"
    r"|nachfolgend)\b[^\n]{0,120}|(?:the|your|my|das|die|der|la|le|el) (?:answer|query|sql|code"
    r"|json|result|output|response|summary|reply|translation|antwort|abfrage|ergebnis|réponse"
    r"|requête|respuesta)"
    r"[^\n]{0,60})(?::[ \t]*(?:\n+|(?=[{\[]))|[!.][ \t]*\n+)",
    re.IGNORECASE,
)


def has_fence(text: str) -> bool:
    """Whether a text holds a block in code fences."""
    return _FENCE.search(text) is not None


def opens_fence(text: str, *, at_start: bool = False) -> bool:
    """Whether a code fence begins in a text, closed or, at its start, not."""
    return text.lstrip().startswith("```") or (not at_start and has_fence(text))


def is_fenced(text: str) -> bool:
    """Whether all of a text stands in one code fence."""
    return len(_FENCE.findall(text)) == 1 and _FENCE.fullmatch(text.strip()) is not None


def has_lead_in(text: str) -> bool:
    """Whether a text begins with a line that announces what follows."""
    return _lead_in(text) is not None


def without_fence(text: str) -> str:
    """Return what stands inside the only code fence; a text with none or several stays."""
    blocks = _FENCE.findall(text)
    return blocks[0][1].rstrip("\n") if len(blocks) == 1 else text


def without_lead_in(text: str) -> str:
    """Return a text without the lines that announce it: "Here is the query:"."""
    while match := _lead_in(text):
        if not text[match.end() :].strip():
            break
        text = text[match.end() :]
    return text


def _lead_in(text: str) -> re.Match[str] | None:
    return _LEAD_IN.match(text) or _INLINE_LEAD_IN.match(text)


def without_blank_edges(text: str) -> str:
    """Remove blank lines at both ends and trailing space; the first line keeps its indentation."""
    body = re.sub(r"\A(?:[ \t]*\n)+", "", text).rstrip()
    # The indentation of a single line is none.
    return body if "\n" in body else body.strip()
