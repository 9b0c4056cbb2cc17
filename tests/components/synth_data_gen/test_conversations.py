"""Seeds of several turns: what is asked for, and what the filters make of the replies."""

import json

import pytest

from components.synth_data_gen.filters.prompt_filter import PromptFilter
from components.synth_data_gen.plan import PlannedRequest, WantedPrompt
from components.synth_data_gen.rows import Candidate
from components.synth_data_gen.schemas import (
    Answer,
    ProposedConversation,
    ProposedConversations,
)
from components.synth_data_gen.settings import SynthSettings
from components.synth_data_gen.templates import VERSIONS, versions
from core.conversation import Conversation, Message, chat_messages
from core.errors import UserError
from core.records import CoverageRow

RIDE = ("Is the repair of my bicycle free?", "Yes, in every shop.", "Even on Sundays, in Porto?")
BILL = ("You charged me twice in March.", "I am sorry, one was a deposit.", "When is it returned?")


def prompt(*texts):
    roles = ["user", "assistant"] * len(texts)
    messages = [Message(role=role, text=text) for role, text in zip(roles, texts, strict=False)]
    return Conversation(messages=tuple(messages)).prompt


SEEDS = [
    CoverageRow("a", prompt(*RIDE), "Shops are closed on Sundays.", "seed"),
    CoverageRow("b", "Hello?", "Hello!", "seed"),
]
PLANNED = PlannedRequest(0, ("a", "b"), (WantedPrompt("a", {"tone": "calm"}),))


def test_conversations_are_asked_for_and_shown_as_lists_of_messages(make_builder, examples):
    request = make_builder(SEEDS).prompts(PLANNED, round=1, batch=0)
    assert request.schema is ProposedConversations
    assert "All 1 conversations" in request.prompt
    shown = [given for given, _ in examples(request.prompt)]
    assert shown == [chat_messages(SEEDS[0].prompt), "Hello?"]


def test_the_answer_asked_for_is_the_next_turn(make_builder, blocks):
    [request] = make_builder(SEEDS).answers(prompt(*BILL), SEEDS, tag="0")
    assert request.schema is Answer
    assert "write the assistant's next turn" in request.prompt
    assert json.loads(blocks(request.prompt)["message"][0]) == chat_messages(prompt(*BILL))


def test_provenance_names_the_prompt_texts_that_were_used():
    names = set(versions(SynthSettings(), conversations=True))
    assert {"propose_conversations", "answer_conversation"} <= names
    assert not {"propose_prompts", "answer"} & names
    assert versions(SynthSettings()) == VERSIONS


@pytest.mark.parametrize(
    "roles",
    [[], ["user", "assistant"], ["assistant", "user"], ["user", "user", "user"]],
    ids="-".join,
)
def test_a_proposal_that_is_no_conversation_becomes_an_empty_prompt(roles):
    turns = [{"role": role, "text": "x"} for role in roles]
    assert ProposedConversation.model_validate({"number": 1, "turns": turns}).prompt() == ""


def test_a_skipped_conversation_moves_no_other_to_a_wrong_place_in_the_plan():
    said = [
        {"number": number, "turns": [{"role": "user", "text": text}]}
        for number, text in ((3, "third"), (1, "first"), (1, "again"))
    ]
    proposed = ProposedConversations.model_validate({"conversations": said})
    assert proposed.by_number == {3: "third", 1: "first"}


def filtered(*texts):
    new = [Candidate((0, 0, place), text, ("a",), "a", {}) for place, text in enumerate(texts)]
    passed, dropped = PromptFilter(SEEDS, [], SynthSettings()).apply(new)
    return [c.prompt for c in passed], [(d.reason, d.nearest_id) for d in dropped]


def test_leaks_and_duplicates_are_found_by_the_texts_of_the_user():
    leak = prompt(RIDE[0], "I would have to ask a colleague about that.", RIDE[2])
    again = prompt(BILL[0], "That was our mistake, and we are sorry.", BILL[2])
    passed, dropped = filtered(leak, prompt(*BILL), again)
    assert passed == [prompt(*BILL)]
    assert dropped[0] == ("leak", "a")
    assert dropped[1][0] in ("duplicate", "near_duplicate")


def test_empty_proposals_and_more_turns_than_coverage_prompts_have_are_dropped():
    passed, dropped = filtered("", prompt("How", "are", "you", "all", "today?"))
    assert passed == []
    assert [reason for reason, _ in dropped] == ["form", "form"]


def test_prompts_of_ones_own_for_single_messages_are_not_dropped_for_conversations(make_builder):
    own = {
        "answer": "Mine. {{ task }} {{ message }}",
        "propose_prompts": "Mine. {{ task }} {{ plan }}",
    }
    builder = make_builder(SEEDS, prompts=own)
    with pytest.raises(UserError, match=r"synth\.prompts\.propose_conversations"):
        builder.prompts(PLANNED, round=1, batch=0)
    with pytest.raises(UserError, match=r"synth\.prompts\.answer_conversation"):
        builder.answers(prompt(*BILL), SEEDS, tag="0")
    own |= {"answer_conversation": own["answer"], "propose_conversations": own["propose_prompts"]}
    builder = make_builder(SEEDS, prompts=own)
    assert builder.prompts(PLANNED, round=1, batch=0).prompt.startswith("Mine.")
    [request] = builder.answers(prompt(*BILL), SEEDS, tag="0")
    assert request.prompt.startswith("Mine.")
