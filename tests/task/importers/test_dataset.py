import itertools
from collections import Counter

import pytest

from core.conversation import Conversation, Message, chat_messages
from core.errors import UserError
from task.importers import Pair
from task.importers.dataset import make_dataset


def pair(prompt, output="x", system=None, **fields):
    return Pair(conversation=Conversation.from_text(prompt, system), output=output, **fields)


def test_a_system_message_that_all_share_is_the_instruction():
    made = make_dataset([pair("a", system="Sort."), pair("b", system="Sort.")])
    assert made.instruction == "Sort."
    assert [row.prompt for row in made.rows] == ["a", "b"]


def test_system_messages_that_differ_stand_before_their_prompts():
    made = make_dataset([pair("a", system="Sort."), pair("b", system="Count."), pair("c")])
    assert made.instruction is None
    assert [row.prompt for row in made.rows] == ["Sort.\n\na", "Count.\n\nb", "c"]
    assert "2 pairs have system messages that differ" in " ".join(made.notes)


def test_a_system_message_that_some_lack_is_not_called_different():
    made = make_dataset([pair("a", system="S"), pair("b", system="S"), pair("c")])
    assert made.instruction is None
    assert any("2 pairs have system messages and 1 have none" in note for note in made.notes)


def test_repeated_prompts_are_merged_with_their_most_frequent_answer():
    answers = ["no", "yes", "yes", "no", "yes"]
    pairs = [pair(" Is  it?" if n else "is it?", a, id=f"r{n}") for n, a in enumerate(answers)]
    made = make_dataset([*pairs, pair("other")])
    assert (made.rows[0].id, made.rows[0].output) == ("r1", "yes")
    assert made.rows[0].references == ("no",)
    assert len(made.rows) == 2
    said = " ".join(made.notes)
    assert "4 pairs repeat the prompt" in said
    assert "1 prompt has several answers" in said


def chat(*texts, system=None):
    roles = ["system"] * bool(system) + ["user", "assistant"] * len(texts)
    messages = zip(roles, [*([system] if system else []), *texts], strict=False)
    turns = tuple(Message(role=role, text=text) for role, text in messages)
    return Pair(conversation=Conversation(messages=turns), output="x")


def test_conversations_keep_their_turns_and_are_counted():
    made = make_dataset([chat("hi", "hello", "it leaks"), pair("a")])
    assert "1 of 2 pairs are conversations" in " ".join(made.notes)
    assert chat_messages(made.rows[0].prompt) == [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "hello"},
        {"role": "user", "content": "it leaks"},
    ]
    assert made.rows[1].prompt == "a"


def test_system_messages_of_conversations_are_the_instruction_or_begin_the_first_turn():
    shared = make_dataset([chat("a", "b", "c", system="Sort."), chat("d", system="Sort.")])
    assert shared.instruction == "Sort."
    assert chat_messages(shared.rows[0].prompt)[0]["content"] == "a"
    differing = make_dataset([chat("a", "b", "c", system="Sort."), chat("d", system="Count.")])
    assert differing.instruction is None
    assert chat_messages(differing.rows[0].prompt)[0]["content"] == "Sort.\n\na"


def test_splits_that_rows_name_stay_and_sessions_are_not_split():
    pairs = [pair(f"p{n}", session=f"s{n // 4}", id=f"r{n}") for n in range(40)]
    pairs[0] = pair("p0", session="s0", id="r0", split="holdout")
    made = make_dataset(pairs)
    splits = [row.split for row in made.rows]
    assert splits[:4] == ["holdout"] * 4
    for start in range(0, 40, 4):
        assert len(set(splits[start : start + 4])) == 1
    assert splits.count("holdout") == 20


def test_ids_that_repeat_are_replaced():
    made = make_dataset([pair("a", id="1"), pair("b", id="1"), pair("c", id="2")])
    ids = [row.id for row in made.rows]
    assert len(set(ids)) == 3
    assert ids[2] == "2"


def test_a_foreign_split_beside_ours_is_named():
    with pytest.raises(UserError, match="'train'"):
        make_dataset([pair("a", split="train"), pair("b", split="seed"), pair("c")])


def test_splits_of_another_project_are_ignored_and_that_is_said():
    names = ("train", "validation", "test")
    made = make_dataset([pair(f"p{n}", split=names[n % 3]) for n in range(12)])
    assert Counter(row.split for row in made.rows) == {"seed": 6, "holdout": 6}
    (note,) = made.notes
    assert note.startswith("The column split (test, train, validation) was ignored")


def test_one_prompt_is_too_few():
    with pytest.raises(UserError, match="too few"):
        make_dataset([pair("a"), pair("A ")])


def test_the_answers_of_a_sample_are_the_most_frequent_ones():
    pairs = [pair(f"question number {n} about {n * 7919}", a) for n in range(30) for a in "xyy"]
    made = make_dataset(pairs, size=10)
    assert len(made.rows) == 10
    assert {row.output for row in made.rows} == {"y"}


def test_sessions_that_share_a_prompt_stay_in_one_split_together():
    pairs = [pair(f"p{n}", session=f"s{n // 4}") for n in range(40)]
    pairs += [pair("p0", session="s5"), pair("p21", session="s9")]
    made = make_dataset(pairs)
    splits = {row.prompt: row.split for row in made.rows}
    joined = {splits[f"p{n}"] for n in (*range(4), *range(20, 24), *range(36, 40))}
    assert len(joined) == 1
    assert list(splits.values()).count("holdout") == 20
    assert any("2 prompts occur in several sessions" in note for note in made.notes)


def test_a_prompt_of_most_sessions_joins_none_of_them():
    pairs = [pair(f"p{n}", session=f"s{n // 4}") for n in range(40)]
    pairs += [pair("Hello", session=f"s{n}") for n in range(10)]
    made = make_dataset(pairs)
    splits = [row.split for row in made.rows if row.prompt != "Hello"]
    assert 18 <= splits.count("holdout") <= 22
    for start in range(0, 40, 4):
        assert len(set(splits[start : start + 4])) == 1
    assert any("1 prompt occurs in sessions that hold more" in note for note in made.notes)


def test_rest_of_a_session_that_shares_a_prompt_with_a_held_out_one_is_no_training_row():
    """A row that stands for two sessions keeps the remaining rows of both out of training."""
    pairs = [pair(f"question {n} on {n * 7919}", session=f"s{n // 4}") for n in range(200)]
    pairs += [
        pair(f"question {n} on {n * 7919}", session=f"s{n // 4 + 1}") for n in range(0, 200, 8)
    ]
    made = make_dataset(pairs, size=20)
    group = {f"question {n} on {n * 7919}": n // 8 for n in range(200)}
    held = {group[row.prompt] for row in made.rows if row.split != "seed"}
    assert held
    assert held.isdisjoint(group[row.prompt] for row in made.rest)


def test_a_sample_is_picked_by_the_embedding_model_that_is_given():
    pairs = [pair(f"question number {n} about {n * 7919}") for n in range(40)]
    asked = []

    def embed(texts):
        asked.extend(texts)
        return [[1.0, 0.0] if int(text.split()[2]) < 20 else [0.0, 1.0] for text in texts]

    made = make_dataset(pairs, size=10, embed=embed)
    assert len(asked) == 40
    assert sum(int(row.prompt.split()[2]) < 20 for row in made.rows) == 5
    assert any(note.endswith("by embeddings.") for note in made.notes)


def test_the_rest_keeps_the_ids_of_the_log():
    words = ("lamp", "kettle", "parcel", "refund", "invoice", "account")
    pairs = [
        pair(f"{one} and {other} broke on day {n}", id=f"call-{n}" if n else "call-1")
        for n, (one, other) in enumerate(itertools.permutations(words, 2))
    ]
    made = make_dataset(pairs, size=4)
    own = {p.conversation.prompt: p.id for p in pairs}
    rest = [row for row in made.rest if own[row.prompt] != "call-1"]
    assert len(rest) >= 24
    assert all(row.id == own[row.prompt] for row in rest)
    assert len({row.id for row in made.rest}) == len(made.rest), (
        "one that is there twice is not used"
    )
