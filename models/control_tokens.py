"""The control tokens of a tokenizer: texts that would be read as them where a person types them."""

import dataclasses
import re
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Sequence
from typing import Any

from sentencepiece import sentencepiece_model_pb2

from core.family import ChatTemplate

_Piece = sentencepiece_model_pb2.ModelProto.SentencePiece
_TOKEN = re.compile(r"[<\[].*[>\]]", re.DOTALL)  # others are words, bytes or white space
_NUMBERED = re.compile(r"(?P<stem>.*?)\d+\W*")
_LEAST_NUMBERED = 3  # from here on the stem stands for all of them


def with_control_tokens(template: ChatTemplate, tokenizer: Any) -> ChatTemplate:
    """Return the template with all control tokens of a tokenizer among its markers.

    Args:
        template: How the model is prompted.
        tokenizer: KerasHub's, of SentencePiece or of byte pairs.
    """
    return dataclasses.replace(
        template, markers=(*template.markers, *further_markers(template, tokenizer))
    )


def split_control_tokens(
    texts: Sequence[tuple[str, str]], template: ChatTemplate
) -> list[tuple[str, str]]:
    """Split the markers in the prompts that Transform, which has no tokenizer, has left.

    Args:
        texts: Formatted prompt and response of each row.
        template: From `with_control_tokens`.
    """
    own = _written(template)
    further = dataclasses.replace(
        template, markers=tuple(marker for marker in template.markers if marker not in own)
    )
    return [(further.plain(prompt), response) for prompt, response in texts]


def further_markers(template: ChatTemplate, tokenizer: Any) -> tuple[str, ...]:
    """Return the control tokens of a tokenizer that the template does not name.

    Of tokens that are numbered (`<unused0>` and 6,241 more) it is what they begin with.
    """
    own = _written(template)
    tokens = dict.fromkeys(token for token in _tokens(tokenizer) if _TOKEN.fullmatch(token))
    further = (marker for marker in _stems(tokens) if marker not in own)
    return tuple(marker for marker in further if template.plain(marker) == marker)


def _written(template: ChatTemplate) -> str:
    """Return what the template itself writes."""
    return f"{template.prefix}{template.suffix}{template.end}{template.between}"


def _tokens(tokenizer: Any) -> Iterator[str]:
    proto = getattr(tokenizer, "proto", None)
    yield from tokenizer.special_tokens
    if proto is None:
        yield from getattr(tokenizer, "unsplittable_tokens", None) or ()
        return
    model = sentencepiece_model_pb2.ModelProto.FromString(proto)
    named = {piece.piece for piece in model.pieces if piece.type == _Piece.USER_DEFINED}
    for piece in model.pieces:
        is_control = piece.type in (_Piece.CONTROL, _Piece.UNKNOWN)
        if is_control or (piece.type == _Piece.USER_DEFINED and not _is_markup(piece.piece, named)):
            yield piece.piece


def _is_markup(token: str, named: Container[str]) -> bool:
    """Return whether a token is one of a pair such as `<b>` and `</b>`, which are text."""
    name = token.removeprefix("</").removeprefix("<")
    return name != token and f"<{name}" in named and f"</{name}" in named


def _stems(tokens: Iterable[str]) -> list[str]:
    """Put what numbered tokens begin with in their place, where there are several."""
    stems = {token: match["stem"] for token in tokens if (match := _NUMBERED.fullmatch(token))}
    counts = Counter(stems.values())
    many = {stem for stem, count in counts.items() if count >= _LEAST_NUMBERED and len(stem) > 2}
    short = (stems[token] if stems.get(token) in many else token for token in tokens)
    return list(dict.fromkeys(short))
