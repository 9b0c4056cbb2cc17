import dataclasses
from unittest import mock

import numpy as np
import pytest
from keras_hub.samplers import GreedySampler

from core.errors import ModelError
from core.families import GEMMA, chat_template_for, follows_instructions
from core.family import ChatTemplate
from models import data
from models.generation import decoding, generate
from models.generation.decoding import CachedDecoder, KerasHubDecoder
from models.generation.generate import Generator, generate_fn
from models.generation.prefix import shared_prefix
from models.tensorflow_patches import cached_attention
from tests.models.tuning import PAIRS, PRESET

PROMPTS = [prompt for prompt, _ in PAIRS]
OUTPUTS = [output for _, output in PAIRS]
STRANGERS = ["hello", "what should I do when the app says that my account is locked", "x" * 40, ""]
SETTINGS = {
    "max_output_tokens": 24,
    "batch_size": 4,
    "samples": 1,
    "temperature": 0.0,
    "seed": 0,
    "dtype": "float32",
}


@pytest.fixture(scope="module")
def generator(tuned):
    return Generator(tuned.model)


def test_a_batch_gives_what_one_by_one_gives(generator):
    prompts = PROMPTS + STRANGERS
    together = generator.respond(prompts, 24, len(prompts))
    assert together == [generator.respond([prompt], 24, 1)[0] for prompt in prompts]


@pytest.mark.parametrize("batch_size", [1, 3, 16], ids=["one", "a short last batch", "too large"])
def test_the_batch_size_changes_no_response(generator, batch_size):
    assert generator.respond(PROMPTS, 24, batch_size) == [(text, "stop") for text in OUTPUTS]


def test_batches_are_timed_without_the_one_that_compiles(tuned):
    generator = Generator(tuned.model)
    generator.respond([*PROMPTS, *STRANGERS], 4, 2)
    times = generator.times(2)
    count = len(PROMPTS) + len(STRANGERS)
    assert times.left_out == 2, "the first batch of the one program"
    assert sum(batch.responses for batch in times.batches) == count - 2
    assert all(batch.seconds > 0 for batch in times.batches)


def test_each_length_that_is_compiled_has_a_first_batch(tuned):
    decoder = mock.create_autospec(KerasHubDecoder, instance=True, compiles_shapes=True)
    decoder.side_effect = lambda rows, limit: [[0] * limit for _ in rows]
    decoder.program.side_effect = lambda rows, limit: max(map(len, rows)) // 30
    generator = Generator(tuned.model)
    generator._decoder = decoder
    generator.respond(["short", "short", "x" * 200, "y" * 200, "z" * 200], 4, 1)
    times = generator.times(1)
    assert (times.left_out, len(times.batches)) == (2, 3)


def test_a_response_ends_where_its_turn_does_and_text_outside_ascii_comes_back(generator):
    [(text, finish)] = generator.respond([PROMPTS[3]], 24, 1)
    assert (text, finish) == ("naïve Antwort 😀", "stop")


def test_a_response_that_is_cut_says_so(generator, tokenizer):
    n_tokens = len(tokenizer(OUTPUTS[0]))
    assert generator.respond([PROMPTS[0]], n_tokens + 1, 1) == [(OUTPUTS[0], "stop")]
    assert generator.respond([PROMPTS[0]], n_tokens, 1) == [(OUTPUTS[0], "length")]
    [(text, finish)] = generator.respond([PROMPTS[0]], n_tokens - 1, 1)
    assert finish == "length"
    assert OUTPUTS[0].startswith(text)
    assert text != OUTPUTS[0]


def test_a_character_that_is_cut_in_its_bytes_is_still_text(generator, tokenizer):
    n_tokens = len(tokenizer(OUTPUTS[3])) - 1
    [(text, finish)] = generator.respond([PROMPTS[3]], n_tokens, 1)
    assert finish == "length"
    assert text.startswith("naïve Antwort ")
    text.encode()


def test_no_prompts_give_no_responses(generator):
    assert generator.respond([], 24, 4) == []


def test_the_model_is_asked_with_the_tokens_that_it_was_trained_on(tuned, monkeypatch):
    asked = []

    monkeypatch.setattr(
        CachedDecoder, "__call__", lambda self, rows, limit: asked.extend(rows) or rows
    )
    Generator(tuned.model).respond(PROMPTS, 4, 1)
    trained_on = [list(row.tokens[: row.response_start]) for row in tuned.rows]
    assert asked == sorted(trained_on, key=len)


def test_an_end_of_turn_that_is_no_token_of_the_model_is_refused(tuned):
    template = ChatTemplate(prefix="[INST] ", suffix=" [/INST]", end="<|im_end|>")
    with pytest.raises(ModelError, match=r"no token '<\|im_end\|>'"):
        Generator(tuned.model, template)


@pytest.fixture(scope="module")
def few_shot_prompts():
    """Most begin alike, two of them do not, and lengths differ."""
    shown = "\n".join(f"Message: {p}\nAnswer: {o}" for p, o in PAIRS[:3])
    alike = [f"{shown}\nMessage: {prompt}\nAnswer:" for prompt in (*PROMPTS, *STRANGERS)]
    return [*alike[:4], "another beginning", *alike[4:], f"Message: {shown}"]


FAMILIES = ["gemma3", "gemma2", "gemma", "mistral", "llama2", "llama3"]
N_GENERATED = 20
WINDOW = 12  # tokens, fewer than the prompts have


def random_model(family, cache_dir):
    from models.loading.load import load_model, resolve_preset

    return load_model(resolve_preset(f"random:{family}-tiny", cache_dir), "float32")


def narrow(model, window):
    """Let the layers that see a window of tokens see a short one."""
    for block in model.backbone.transformer_layers:
        if getattr(block, "sliding_window", None):
            block.sliding_window = window
        elif getattr(getattr(block, "attention", None), "use_sliding_window_attention", False):
            block.attention.sliding_window_size = window


@pytest.mark.parametrize("family", FAMILIES)
def test_greedy_tokens_are_those_of_keras_hubs_own_loop(family, tiny_cache):
    model = random_model(family, tiny_cache)
    narrow(model, WINDOW)
    start = model.preprocessor.tokenizer.start_token_id
    rng = np.random.default_rng(5)
    rows = [
        [start, *rng.integers(10, model.backbone.vocabulary_size, length).tolist()]
        for length in (3, 0, 40, 17, 25)
    ]
    never = (model.backbone.vocabulary_size,)
    wanted = KerasHubDecoder(model, never, GreedySampler())(rows, N_GENERATED)
    found = CachedDecoder(model.backbone, never, None)(rows, N_GENERATED)
    assert found == wanted
    assert len({tuple(row) for row in found}) > 1


def test_a_loop_ends_when_every_row_has_stopped(tuned):
    model = tuned.model
    rows = [list(row.tokens[: row.response_start]) for row in tuned.rows]
    stop = data.end_token_id(model.preprocessor.tokenizer, GEMMA)
    responses = [list(row.tokens[row.response_start :]) for row in tuned.rows]
    found = CachedDecoder(model.backbone, (stop,), None)(rows, 100)
    assert {len(row) for row in found} == {max(map(len, responses))}
    assert [row[: len(wanted)] for row, wanted in zip(found, responses, strict=True)] == responses


def test_one_trace_serves_batches_of_all_shapes(tiny):
    decode = CachedDecoder(tiny.backbone, (), None)
    with mock.patch.object(cached_attention, "_window", wraps=cached_attention._window) as traced:
        for rows, limit in (([[2, 5]], 3), ([[2, 5, 6], [2]], 3), ([[2], [2], [2]], 7)):
            assert np.shape(decode(rows, limit)) == (len(rows), limit)
            assert traced.call_count == 2 * len(tiny.backbone.transformer_layers)


def test_an_unknown_family_takes_keras_hubs_own_loop(tuned, monkeypatch):
    monkeypatch.setattr(decoding, "is_known", lambda backbone: False)
    generator = Generator(tuned.model)
    assert isinstance(generator._decoder, KerasHubDecoder)
    assert generator.respond(PROMPTS, 24, 3) == [(text, "stop") for text in OUTPUTS]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_shared_beginning_is_computed_once_and_changes_no_response(
    family, tiny_cache, few_shot_prompts, monkeypatch
):
    model = random_model(family, tiny_cache)
    begun = []
    prefix = CachedDecoder.prefix
    monkeypatch.setattr(CachedDecoder, "prefix", lambda self, p: begun.append(p) or prefix(self, p))
    template = chat_template_for(f"random:{family}-tiny")
    together = Generator(model, template).respond(few_shot_prompts, 12, 4)
    assert len(begun) == 1
    assert len(begun[0]) > 32
    monkeypatch.setattr(generate, "shared_prefix", lambda rows: [])
    assert together == Generator(model, template).respond(few_shot_prompts, 12, 4)
    assert len(begun) == 1


def test_ordinary_prompts_share_no_beginning(tuned, tokenizer):
    rows = [list(row.tokens[: row.response_start]) for row in tuned.rows]
    assert shared_prefix(rows) == []
    long = list(range(40))
    assert shared_prefix([[*long, 1], [*long, 2], [7], [*long, 3, 4]]) == long
    assert shared_prefix([long, long, long]) == long[:-1], "one token is left to go on from"
    assert shared_prefix([long]) == shared_prefix([]) == []


@pytest.mark.parametrize(
    ("preset", "plain"),
    [
        ("packaged:gemma3-270m", True),
        ("gemma2_2b_en", True),
        ("gguf:/models/gemma-3-1b-pt-Q4.gguf", True),
        ("kaggle://keras/italian_gemma", True),
        ("hf://google/gemma-3-1b-it", False),
        ("gemma3_instruct_1b", False),
        ("hf://meta-llama/Llama-2-7b-chat-hf", False),
    ],
)
def test_a_name_tells_whether_a_model_follows_instructions(preset, plain):
    assert follows_instructions(preset) is not plain


@pytest.mark.parametrize("few_shot", [0, 3], ids=["as it is tuned", "with examples"])
def test_examples_are_continued_by_a_base_model_as_plain_text(tiny_cache, monkeypatch, few_shot):
    seen = []
    monkeypatch.setattr(Generator, "respond", lambda self, p, *_: seen.append(self._template) or [])
    settings = SETTINGS | {"cache_dir": tiny_cache, "few_shot": few_shot}
    generate_fn(model_dir="", preset=PRESET, prompts=["x"], settings=settings)
    wanted = dataclasses.replace(GEMMA, prefix="", suffix="") if few_shot else GEMMA
    assert seen == [wanted]


def test_sampling_differs_from_time_to_time_and_repeats_with_its_seed(tiny):
    runs = []
    for seed in (0, 0, 1):
        generator = Generator(tiny, temperature=5.0, seed=seed)
        runs.append([generator.respond(PROMPTS, 8, 4) for _ in range(2)])
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]
    assert runs[0][0] != runs[0][1]


def test_greedy_samples_of_a_base_model_are_all_alike(tiny_cache):
    settings = SETTINGS | {"samples": 2, "cache_dir": tiny_cache}
    answers = generate_fn(model_dir="", preset=PRESET, prompts=PROMPTS, settings=settings)
    assert len(answers) == len(PROMPTS)
    assert all(first == second for first, second in answers)


def test_a_folder_without_a_model_is_told(tmp_path):
    (tmp_path / "generation.json").write_text('{"prefix": "", "suffix": "", "stop": ["x"]}')
    with pytest.raises(ModelError, match="cannot be loaded"):
        generate_fn(model_dir=str(tmp_path), preset="", prompts=["x"], settings=SETTINGS)
