import pytest

from components.synth_data_gen.aim import uniform_weights
from components.synth_data_gen.answer import Answerer
from components.synth_data_gen.filters.prompt_filter import PromptFilter
from components.synth_data_gen.generate import TooFewRowsError, generate, propose_attributes
from components.synth_data_gen.schemas import AttributeSets
from core.errors import UserError
from task.form import infer_form


@pytest.fixture
def run(make_builder, seeds, holdout, attributes):
    def run(service, *, round=1, history=(), weights=None, **settings):
        builder = make_builder(**({"rows_per_round": 40} | settings))
        form = infer_form([seed.output for seed in seeds])
        return generate(
            service,
            builder,
            PromptFilter([*seeds, *holdout], history, builder.settings),
            Answerer(service, builder, form),
            weights=weights or uniform_weights(seeds),
            attributes=attributes,
            round=round,
        )

    return run


def accounted(result):
    return len(result.kept) + sum(result.dropped_counts().values()) + result.surplus


def test_a_round_brings_the_rows_it_was_asked_for(make_service, run):
    result = run(make_service())
    assert len(result.kept) == 40
    assert accounted(result) == result.requested


def test_the_order_in_which_replies_arrive_changes_nothing(make_service, run):
    assert run(make_service(order_seed=1)) == run(make_service(order_seed=2))


def test_a_repeated_run_sends_the_same_requests(make_service, run):
    first, second = make_service(), make_service(order_seed=9)
    run(first)
    run(second)
    assert set(first.requests) == set(second.requests)


def test_another_round_sends_other_requests(make_service, run):
    first, second = make_service(), make_service()
    run(first, round=1)
    run(second, round=2)
    assert not {r.prompt for r in first.requests} & {r.prompt for r in second.requests}


def test_every_prompt_is_answered_by_a_request_that_shows_no_plan(make_service, run, blocks):
    service = make_service()
    result = run(service)
    answered = [blocks(request.prompt) for request in service.sent("Answer")]
    assert {found["message"][0] for found in answered} >= {kept.prompt for kept in result.kept}
    assert all("plan" not in found for found in answered)


def test_no_request_shows_anything_of_the_holdout(make_service, run, holdout):
    service = make_service()
    run(service, quality_filter=True, samples=2)
    assert {request.schema.__name__ for request in service.requests} == {
        "ProposedPrompts", "Answer", "QualityScore",
    }  # fmt: skip
    for request in service.requests:
        sent = f"{request.system}\n{request.prompt}"
        for row in holdout:
            assert row.prompt not in sent
            assert row.id not in sent
        assert "zebra" not in sent


def test_refills_follow_until_there_is_enough(make_service, run, reply):
    def repetitive(request):
        value = reply(request)
        if request.schema.__name__ == "ProposedPrompts":
            for proposed in value["messages"][::2]:
                proposed["message"] = "always the same old message"
        return value

    service = make_service(repetitive)
    result = run(service)
    assert len(result.kept) == 40
    assert result.dropped_counts()["duplicate"] > 0
    assert len({kept.position[0] for kept in result.kept}) > 1, "a later batch filled the gap"
    assert accounted(result) == result.requested


def test_answers_are_not_paid_for_prompts_that_a_filter_takes(make_service, run, reply, seeds):
    def leaky(request):
        value = reply(request)
        if request.schema.__name__ == "ProposedPrompts":
            value["messages"][0]["message"] = seeds[0].prompt
        return value

    service = make_service(leaky)
    result = run(service)
    assert result.dropped_counts()["leak"] > 0
    assert len(service.sent("Answer")) == len(result.kept)


def test_too_few_rows_stop_the_round_and_name_what_each_filter_took(make_service, run, reply):
    def useless(request):
        value = reply(request)
        return {"output": "no idea"} if request.schema.__name__ == "Answer" else value

    with pytest.raises(
        TooFewRowsError, match=r"Only 0 of 40 rows.*of 120 prompts.*form 120.*\(one form: not JSON"
    ):
        run(make_service(useless), max_extra_requests=2)


def test_no_more_prompts_are_asked_for_than_the_bound_allows(make_service, run):
    service = make_service(lambda _: "refused")
    with pytest.raises(TooFewRowsError, match="refused 60"):
        run(service, max_extra_requests=0.5)
    assert len(service.sent("ProposedPrompts")) == 5 + 3  # 40 and 20 prompts, 8 per request


def test_a_round_that_falls_short_but_not_too_short_is_kept(make_service, run, reply):
    def half(request):
        value = reply(request)
        if request.schema.__name__ == "ProposedPrompts":
            value["messages"] = value["messages"][:5]
        return value

    result = run(make_service(half), max_extra_requests=0, min_rows_fraction=0.5)
    assert len(result.kept) == 25
    assert result.dropped_counts() == {"missing": 15}


def test_prompts_beyond_the_plan_are_ignored(make_service, run, reply):
    def generous(request):
        value = reply(request)
        if request.schema.__name__ == "ProposedPrompts":
            value["messages"].append({"number": 9, "message": "one more"})
        return value

    result = run(make_service(generous))
    assert "one more" not in {kept.prompt for kept in result.kept}
    assert result.generated == 40


def test_weights_decide_which_seeds_are_shown(make_service, run, seeds, blocks):
    weights = uniform_weights(seeds) | {"seed-7": 50.0}
    service = make_service()
    run(service, weights=weights, examples_per_request=3)
    proposals = [request.prompt for request in service.sent("ProposedPrompts")]
    assert all(seeds[7].prompt in prompt for prompt in proposals)


def test_the_service_llm_proposes_attributes_from_the_seeds(make_service, make_builder):
    proposed = propose_attributes(make_service(), make_builder())
    assert isinstance(proposed, AttributeSets)
    assert proposed.tone == [f"tone {n}" for n in range(4)]


def test_a_refused_proposal_of_attributes_says_what_to_do(make_service, make_builder):
    with pytest.raises(UserError, match=r"in the preset: synth\.attributes with"):
        propose_attributes(make_service(lambda _: "refused"), make_builder())


def test_a_skipped_message_moves_no_other_to_a_wrong_place_in_the_plan(make_service, run, reply):
    asked = {}

    def skips_the_third(request):
        value = reply(request)
        if request.schema.__name__ == "ProposedPrompts":
            asked[request.tag] = {m["number"]: m["message"] for m in value["messages"]}
            value["messages"] = [m for m in value["messages"] if m["number"] != 3][::-1]
        return value

    result = run(make_service(skips_the_third), max_extra_requests=0, min_rows_fraction=0.5)
    assert result.dropped_counts() == {"missing": 5}
    for kept in result.kept:
        _, request, place = kept.position
        assert kept.prompt == asked[str(request)][place + 1]
