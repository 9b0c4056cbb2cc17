"""Paraphrases that share no words with their source are found by a judge, here a scripted one."""

import json
import re

import numpy as np
import pytest

from components.synth_data_gen.filters.decontaminate import CoverageIndex
from components.synth_data_gen.filters.leak_judge import LeakJudge
from components.synth_data_gen.one_round import RoundInputs, run_round
from components.synth_data_gen.rows import Candidate
from core.records import CoverageRow

SOURCE = "The cupboard hinge snapped off while my toddler was swinging on it"
PARAPHRASE = "A small child dangling from our kitchen closet's door broke its metal joint"
RELATED = "How do I oil a cupboard hinge that squeaks"
TEST = re.compile(r"<test_message_(\d+) [a-z]{6}>\n(.*?)\n<", re.DOTALL)
CANDIDATE = re.compile(r"<candidate [a-z]{6}>\n(.*?)\n<", re.DOTALL)


def scripted(request):
    """A judge that knows one paraphrase."""
    shown = {text: int(number) for number, text in TEST.findall(request.prompt)}
    is_paraphrase = CANDIDATE.search(request.prompt)[1] == PARAPHRASE
    return {"reason": f"about {SOURCE}", "same_as": shown.get(SOURCE, 0) if is_paraphrase else 0}


@pytest.fixture
def coverage(seeds, holdout):
    return [*seeds, *holdout, CoverageRow("held", SOURCE, "{}", "holdout")]


def candidates(*prompts):
    return [Candidate((0, 0, n), prompt) for n, prompt in enumerate(prompts)]


def test_a_paraphrase_in_wholly_other_words_is_dropped_with_the_row_it_restates(
    make_service, make_builder, coverage
):
    near = CoverageIndex(coverage).nearest(PARAPHRASE)
    assert near is None or near.similarity < 0.3, "letters do not show it"
    judge = make_service(scripted)
    # Letters bring it among the nearest of so few rows; in a real set embeddings have to.
    builder = make_builder(leak_judge_rows=len(coverage))
    passed, dropped = LeakJudge(judge, builder, coverage).apply(candidates(PARAPHRASE, RELATED))
    assert [c.prompt for c in passed] == [RELATED]
    assert [(d.reason, d.prompt, d.nearest_id) for d in dropped] == [
        ("judged_leak", PARAPHRASE, "held")
    ]
    assert SOURCE not in dropped[0].to_json(), "the judge's reason may quote the holdout"


def test_the_rows_nearest_by_embedding_are_shown_and_no_others(
    make_service, make_builder, coverage
):
    def embed(texts):
        """Texts about cupboards on one axis, all others on the other."""
        return [
            np.array([1.0, 0.1]) if re.search("cupboard|closet", text) else np.array([0.1, 1.0])
            for text in texts
        ]

    judge = make_service(scripted)
    builder = make_builder(leak_judge_rows=1)
    _, dropped = LeakJudge(judge, builder, coverage, embed).apply(candidates(PARAPHRASE))
    assert [d.nearest_id for d in dropped] == ["held"]
    assert [text for _, text in TEST.findall(judge.requests[0].prompt)] == [SOURCE]


def test_coverage_prompts_are_embedded_once_for_all_batches(make_service, make_builder, coverage):
    embedded = []

    def embed(texts):
        embedded.extend(texts)
        return np.ones((len(texts), 2))

    judge = LeakJudge(make_service(scripted), make_builder(), coverage, embed)
    for prompt in ("one", "two"):
        judge.apply(candidates(prompt))
    assert embedded.count(SOURCE) == 1


@pytest.mark.parametrize("reply", ["refused", {"reason": "", "same_as": 9}], ids=["error", "none"])
def test_what_cannot_be_judged_does_not_pass(make_service, make_builder, coverage, reply):
    judge = LeakJudge(make_service(lambda request: reply), make_builder(), coverage)
    passed, dropped = judge.apply(candidates("anything"))
    assert not passed
    assert [d.reason for d in dropped] == ["unjudged"]


def test_the_judge_sees_the_holdout_and_the_generator_never_does(
    make_service, make_builder, seeds, holdout, reply
):
    def leaky(request):
        value = reply(request)
        if request.schema.__name__ == "ProposedPrompts":
            value["messages"][0]["message"] = PARAPHRASE
        return value

    generator, judge = make_service(leaky), make_service(scripted)
    inputs = RoundInputs([*seeds, CoverageRow("held", SOURCE, "{}", "holdout"), *holdout])
    builder = make_builder(rows_per_round=10, leak_judge_rows=20)
    outcome = run_round(generator, builder, inputs, embed=None, round=1, judge=judge)
    assert outcome.generation.dropped_counts()["judged_leak"] >= 1
    assert PARAPHRASE not in {row.prompt for row in outcome.generation.kept}
    answered = {json.dumps(PARAPHRASE)[1:-1] in r.prompt for r in generator.sent("Answer")}
    assert answered == {False}, "nothing is paid for its answer"
    assert any(SOURCE in request.prompt for request in judge.requests)
    assert not any(SOURCE in request.prompt for request in generator.requests)
