"""The exported `tokenizer.json` cuts texts as the SentencePiece model that it was made from."""

import json
from pathlib import Path

import keras_hub
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from core.families import GEMMA, INSTRUCTION
from models.export.fast_tokenizer import write_fast_tokenizer
from models.loading.load import resolve_preset
from tests.models.llama_cpp_texts import TEXTS as LLAMA_CPP_TEXTS

COVERAGE = Path(__file__).parents[3] / "data" / "coverage" / "support_triage"
TURN = f"{GEMMA.prefix}my order does not work{GEMMA.suffix}returns{GEMMA.end}"
TEXTS = [
    TURN,
    "",
    " ",
    "   leading and trailing   ",
    "tabs\tand\n\nlines\r\n",
    "Wie stelle ich die Kamera ein? naïve Antwort 😀 👩‍👩‍👧",
    "カメラの設定方法を教えてください。 12345 3.14",
    'def f(x):\n    return {"a": [x, None]}',
    "a" * 300,
]


class Pair:
    """The exported tokenizer and KerasHub's."""

    def __init__(self, preset, folder):
        [model] = Path(preset).rglob("vocabulary.spm")
        self.added = write_fast_tokenizer(model, folder / "tokenizer.json")
        self.exported = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.original = keras_hub.tokenizers.Tokenizer.from_preset(preset)

    def agree_on(self, text):
        expected = [int(token) for token in self.original(text)]
        assert self.exported.encode(text, add_special_tokens=False).ids == expected, repr(text)
        shown = self.exported.decode(expected, skip_special_tokens=False)
        assert shown == str(self.original.detokenize(expected) if expected else "")


@pytest.fixture(scope="module")
def tiny(tiny_preset, tmp_path_factory):
    return Pair(tiny_preset, tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module", params=["gemma3-tiny", "mistral-tiny", "llama2-tiny"])
def pair(request, tiny_cache, tmp_path_factory):
    preset = resolve_preset(f"random:{request.param}", tiny_cache)
    return Pair(preset, tmp_path_factory.mktemp(request.param))


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_texts_are_cut_into_the_same_tokens_and_come_back(pair, text):
    pair.agree_on(text)


@settings(deadline=None)
@given(text=st.text(st.characters(exclude_characters="<\u2581\0", exclude_categories=("Cs",))))
def test_any_text_is(pair, text):
    pair.agree_on(text)


@pytest.mark.parametrize("name", ["mistral-tiny", "llama2-tiny"])
def test_each_part_of_a_conversation_begins_with_a_space_after_a_control_token(
    name, tiny_cache, tmp_path
):
    """As the pipeline cuts it, which encodes the parts between control tokens one by one."""
    llama = Pair(resolve_preset(f"random:{name}", tiny_cache), tmp_path)
    turns = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": " my order"}]
    parts = INSTRUCTION.text([*turns, *turns[:1]]).split(INSTRUCTION.end)
    first, second = ([int(token) for token in llama.original(part)] for part in parts)
    end = llama.original.token_to_id(INSTRUCTION.end)
    found = llama.exported.encode(INSTRUCTION.end.join(parts))
    assert found.ids == [llama.original.start_token_id, *first, end, *second]


def test_one_bos_stands_in_front(tiny):
    start = tiny.original.start_token_id
    assert tiny.exported.encode("hello").ids[0] == start
    assert tiny.exported.encode("hello").ids.count(start) == 1


def test_turn_markers_are_found_in_text_and_left_out_when_it_is_decoded(tiny):
    end = tiny.original.token_to_id(GEMMA.end)
    assert tiny.added[str(end)] == {
        "content": GEMMA.end,
        "single_word": False,
        "lstrip": False,
        "rstrip": False,
        "normalized": False,
        "special": True,
    }
    assert tiny.exported.encode(f"hello{GEMMA.end}").ids[-1] == end
    ids = tiny.exported.encode(f"returns{GEMMA.end}").ids
    assert tiny.exported.decode(ids) == "returns"


def test_every_added_token_has_the_number_that_the_vocabulary_gives_it(tiny):
    for number, token in tiny.added.items():
        assert tiny.original.id_to_token(int(number)) == token["content"]


@pytest.mark.parametrize("control", ["<s>", "</s>", "<unk>"])
def test_llamas_control_tokens_are_found_in_text_and_left_out_when_it_is_decoded(
    control, tiny_cache, tmp_path
):
    llama = Pair(resolve_preset("random:llama2-tiny", tiny_cache), tmp_path)
    number = llama.original.token_to_id(control)
    ids = llama.exported.encode(f"returns{control}", add_special_tokens=False).ids
    assert ids[-1] == number
    assert llama.exported.decode(ids) == "returns"
    assert llama.added[str(number)]["special"]


@pytest.mark.slow
def test_gemmas_own_vocabulary_is_cut_the_same(packaged_preset, tmp_path):
    gemma = Pair(packaged_preset, tmp_path)
    rows = [
        json.loads(line)
        for path in sorted(COVERAGE.glob("*.jsonl"))
        for line in path.read_text(encoding="utf-8").splitlines()
    ]
    blanks = [f"a{' ' * length}b" for length in range(1, 32)]
    blanks += ["\n" * length for length in range(1, 32)]
    columns = [*(row["prompt"] for row in rows), *(row["output"] for row in rows)]
    for text in [*TEXTS, *LLAMA_CPP_TEXTS, *blanks, *columns]:
        if "<bos>" not in text and " " * 32 not in text:
            gemma.agree_on(text)
