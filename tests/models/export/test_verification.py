"""What counts as the trained model, and what does not."""

import numpy as np
import pytest

from core.errors import ModelError
from core.families import GEMMA
from models.export.verification import PROMPTS, Verifier
from models.generation.generate import Generator
from models.loading.load import load_model


@pytest.fixture(scope="module")
def verifier(tuned):
    return Verifier(tuned.model, GEMMA, tuned.rows)


@pytest.fixture
def logits(verifier):
    """What a reloaded model would give."""
    return [np.array(prompt.logits) for prompt in verifier.prompts]


def with_margin(verifier, logits, margin):
    """Swaps the likeliest two tokens of a step, which were `margin` tolerances apart."""
    step = verifier.prompts[0].logits[0]
    best, second = np.argsort(step)[-1:-3:-1]
    step[second] = step[best] - margin * verifier.tolerance * verifier.largest_logit
    logits[0][0] = step
    logits[0][0][[best, second]] = step[[second, best]]
    return logits


def test_the_continuations_are_what_the_model_generates(verifier, tuned):
    steps = max(len(prompt.continuation) for prompt in verifier.prompts)
    tokenizer = tuned.model.preprocessor.tokenizer
    answers = Generator(tuned.model).respond(PROMPTS, steps, 1)
    for prompt, (text, finish) in zip(verifier.fixed, answers, strict=True):
        is_whole = prompt.continuation[-1] in verifier.stops
        ids = prompt.continuation[:-1] if is_whole else prompt.continuation
        assert (str(tokenizer.detokenize(np.array(ids, "int32"))) if ids else "") == text
        assert finish == ("stop" if is_whole else "length")


def test_the_longest_row_of_the_training_is_compared_too(verifier, tuned):
    longest = max(tuned.rows, key=lambda row: len(row.tokens))
    *fixed, last = verifier.prompts
    assert [prompt.text for prompt in fixed] == list(PROMPTS)
    assert last.text is None
    assert last.tokens == longest.tokens[: longest.response_start]
    assert last.continuation[0] == longest.tokens[longest.response_start], "it was learned"


def test_the_model_itself_passes_and_the_untrained_one_does_not(verifier, tuned, tiny):
    found = verifier.compare_model("preset", tuned.model.backbone)
    assert found.logit_difference < 1e-5
    assert found.ties == 0
    assert found.tokens == sum(len(prompt.continuation) for prompt in verifier.prompts)
    with pytest.raises(ModelError, match=r"'preset' continue .* with other tokens"):
        verifier.compare_model("preset", tiny.backbone)


def test_other_logits_are_refused_though_the_tokens_are_the_same(verifier, logits):
    logits[1][0] -= 2 * verifier.tolerance * verifier.largest_logit
    with pytest.raises(ModelError, match=r"other logits: they differ by 0\.002 of the largest"):
        verifier.compare("preset", logits)


def test_another_token_is_accepted_where_both_are_as_likely(tuned):
    verifier = Verifier(tuned.model, GEMMA, tuned.rows)
    logits = [np.array(prompt.logits) for prompt in verifier.prompts]
    found = verifier.compare("preset", with_margin(verifier, logits, 0.5))
    assert found.ties == 1
    with pytest.raises(ModelError, match=r"'preset' continue 'Where is my order\?' with other"):
        verifier.compare("preset", with_margin(verifier, logits, 1.5))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_logits_that_are_not_finite_are_refused_wherever_they_are(verifier, logits, value):
    for prompt in range(len(logits)):
        changed = [np.array(of_prompt) for of_prompt in logits]
        changed[prompt][-1, -1] = value  # of a token that is not the likeliest
        with pytest.raises(ModelError, match="'preset' give logits that are not finite"):
            verifier.compare("preset", changed)


@pytest.mark.parametrize("found", [[], [np.zeros((0, 768), "float32")]], ids=["none", "empty"])
def test_no_logits_are_no_verification(verifier, found):
    with pytest.raises(ModelError, match="'preset' give no logits"):
        verifier.compare("preset", found)


def test_nothing_is_exported_of_a_trained_model_that_is_not_finite(tuned, tiny_preset):
    model = load_model(tiny_preset, "float32")
    weight = model.backbone.get_layer("final_normalization").scale
    weight.assign(np.full(weight.shape, np.nan))
    with pytest.raises(ModelError, match="logits that are not finite, so nothing was exported"):
        Verifier(model, GEMMA, tuned.rows)


def test_what_is_kept_of_it(verifier, logits):
    assert verifier.compare("preset", logits).to_json() == {
        "verified": True,
        "largest_logit_difference": 0.0,
        "greedy_tokens": sum(len(prompt.continuation) for prompt in verifier.prompts),
        "greedy_ties": 0,
    }
