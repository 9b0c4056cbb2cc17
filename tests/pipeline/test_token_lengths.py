"""How long tokens are, by the base model's tokenizer."""

import pytest

from core.example_budget import CHARACTERS_PER_TOKEN
from core.records import CoverageRow
from pipeline.config import load_config
from pipeline.token_lengths import characters_per_token, shared_share
from service_llm.estimate import Expected
from service_llm.types import Request
from service_llm.vector import Embedding

ROWS = [CoverageRow(str(n), f"Where is parcel {n}?", '{"a": null}', "seed") for n in range(3)]


def test_they_are_measured_on_the_texts_themselves():
    config = load_config("offline", [], environ={})
    words = characters_per_token(config, ROWS, ["The message is about an order of last week."] * 3)
    digits = characters_per_token(config, ROWS, ["0123456789abcdef" * 9])
    assert 3.5 < words.prompt < 6
    assert digits.prompt < 2 < words.prompt
    assert words.reply == digits.reply < words.prompt


def test_without_texts_or_tokenizer_they_have_the_usual_length():
    config = load_config("offline", [], environ={})
    assert characters_per_token(config, ROWS, []).prompt == CHARACTERS_PER_TOKEN
    other = load_config("offline", ["training.preset=gguf:/no/such/file.gguf"], environ={})
    assert characters_per_token(other, ROWS, ["text"]) == (CHARACTERS_PER_TOKEN,) * 2


def test_what_begins_alike_is_told_by_kind():
    def expected(text, times=1):
        return Expected(Request(text, Embedding), 0, times)

    assert shared_share([expected("aaaa1234"), expected("aaaa5678")]) == pytest.approx(0.5)
    assert shared_share([expected("aaaa1234", 3), expected("aaaa5678")]) == pytest.approx(0.5)
    assert shared_share([]) == 0
