import pytest

from components.synth_data_gen.filters.prompt_filter import PromptFilter
from components.synth_data_gen.rows import Candidate
from components.synth_data_gen.settings import SynthSettings


def candidates(*prompts: str) -> list[Candidate]:
    return [
        Candidate((0, 0, n), prompt, ("seed-0",), "seed-0", {}) for n, prompt in enumerate(prompts)
    ]


@pytest.fixture
def make_filter(seeds, holdout):
    def make(history=(), embed=None, **settings):
        return PromptFilter([*seeds, *holdout], history, SynthSettings(**settings), embed)

    return make


def test_new_prompts_pass_with_their_nearest_coverage_row(make_filter):
    passed, dropped = make_filter().apply(candidates("the shelf in Cairo is a bit too high for me"))
    assert not dropped
    assert passed[0].nearest is not None
    assert passed[0].nearest[0].startswith("seed-")


@pytest.mark.parametrize("prompt", ["", "x" * 5000], ids=["empty", "overlong"])
def test_a_prompt_of_impossible_length_is_dropped(make_filter, prompt):
    passed, dropped = make_filter().apply(candidates(prompt))
    assert not passed
    assert [d.reason for d in dropped] == ["form"]


@pytest.mark.parametrize("split", ["seeds", "holdout"])
def test_a_leak_names_the_coverage_row(make_filter, split, request):
    row = request.getfixturevalue(split)[2]
    passed, dropped = make_filter().apply(candidates(row.prompt.upper()))
    assert not passed
    assert [(d.reason, d.nearest_id) for d in dropped] == [("leak", row.id)]


@pytest.mark.parametrize("split", ["seeds", "holdout"])
def test_a_near_duplicate_of_a_coverage_prompt_is_a_leak(make_filter, split, request):
    row = request.getfixturevalue(split)[1]
    prompt_filter = make_filter(leak_similarity=1.0)  # leaves it to the duplicates
    _, dropped = prompt_filter.apply(candidates(f"{row.prompt}s"))
    assert [(d.reason, d.nearest_id) for d in dropped] == [("leak", row.id)]


def test_prompts_are_compared_with_history_and_with_each_other(make_filter):
    prompt_filter = make_filter(history=["an old message about umbrellas in the rain"])
    passed, dropped = prompt_filter.apply(
        candidates(
            "An old message about umbrellas in the rain!",
            "a fresh remark about violins at the station",
            "A fresh remark about violins at the station",
            "a fresh remark about violins at the stations",
        )
    )
    assert [candidate.position[2] for candidate in passed] == [1]
    assert [d.reason for d in dropped] == ["duplicate", "duplicate", "near_duplicate"]


def test_prompts_are_compared_with_those_that_passed_before(make_filter):
    prompt_filter = make_filter()
    prompt_filter.apply(candidates("a fresh remark about violins at the station"))
    passed, dropped = prompt_filter.apply(candidates("A FRESH remark about violins at the station"))
    assert not passed
    assert dropped[0].reason == "duplicate"


def test_the_text_of_a_holdout_row_is_never_written_beside_a_dropped_prompt(make_filter, holdout):
    def embed(texts):
        return [
            [1.0, 0.0] if "zebra" in t or "stripy" in t else [0.0, float(len(t))] for t in texts
        ]

    prompt_filter = make_filter(embed=embed)
    _, dropped = prompt_filter.apply(candidates("a stripy horse grows pale"))
    assert [(d.reason, d.nearest_id) for d in dropped] == [("semantic_leak", "holdout-0")]
    assert all("zebra" not in d.to_json() for d in dropped)


def test_with_embeddings_prompts_of_one_meaning_are_dropped(make_filter):
    vectors = {"hello there friend": [1.0, 0.0], "good day companion": [0.99, 0.01]}

    def embed(texts):
        return [vectors.get(text, [0.0, 1.0]) for text in texts]

    passed, dropped = make_filter(embed=embed).apply(candidates(*vectors))
    assert [candidate.prompt for candidate in passed] == ["hello there friend"]
    assert [(d.reason, d.nearest_text) for d in dropped] == [
        ("semantic_duplicate", "hello there friend")
    ]
