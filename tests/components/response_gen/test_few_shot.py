from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from components.response_gen.few_shot import few_shot_prompt, first_answer
from core.conversation import Conversation, Message
from core.records import CoverageRow


def test_a_prompt_is_shown_after_seed_pairs(coverage_row):
    rows = [coverage_row("Peru"), coverage_row("Kenya", split="holdout")]
    assert few_shot_prompt(rows[1], rows, 3) == (
        "Message: Capital of Peru?\nAnswer: City of Peru\n\nMessage: Capital of Kenya?\nAnswer:"
    )


def test_an_untuned_model_sees_a_conversation_as_a_transcript():
    turns = [("user", "Hi"), ("assistant", "Hello!"), ("user", "Capital of Peru?")]
    messages = tuple(Message(role=role, text=text) for role, text in turns)
    row = CoverageRow("1", Conversation(messages=messages).prompt, "Lima", "holdout")
    assert few_shot_prompt(row, [row], 3) == (
        "Message: User: Hi\n\nAssistant: Hello!\n\nUser: Capital of Peru?\nAnswer:"
    )


def test_the_instruction_stands_before_the_pairs(coverage_row):
    rows = [coverage_row("Peru"), coverage_row("Kenya", split="holdout")]
    plain = few_shot_prompt(rows[1], rows, 3)
    assert few_shot_prompt(rows[1], rows, 3, "Name the capital.") == f"Name the capital.\n\n{plain}"


def test_neither_the_row_itself_nor_a_holdout_row_is_shown(coverage_row):
    rows = [coverage_row(str(n), split="seed" if n < 5 else "holdout") for n in range(10)]
    for row in rows:
        shown = few_shot_prompt(row, rows, 10).rpartition("\n\n")[0]
        for other in rows:
            expected = other.split == "seed" and other != row
            assert (other.output in shown) == expected, (row.id, other.id)


def test_as_many_pairs_are_shown_as_asked_for(coverage_row):
    rows = [coverage_row(str(n)) for n in range(10)]
    assert few_shot_prompt(rows[0], rows, 3).count("Message:") == 4


def test_all_prompts_but_those_of_the_shown_pairs_begin_alike(coverage_row):
    rows = [coverage_row(str(n)) for n in range(20)]
    prompts = [few_shot_prompt(row, rows, 3).rpartition("\n\n")[0] for row in rows]
    again = [few_shot_prompt(row, rows[::-1], 3).rpartition("\n\n")[0] for row in rows]
    assert prompts == again
    assert Counter(prompts).most_common(1)[0][1] == 17


def test_what_the_model_makes_up_after_its_answer_is_cut():
    assert first_answer(" Nairobi\n\nMessage: Capital of Chad?\nAnswer: N'Djamena") == "Nairobi"


@given(text=st.text())
def test_an_answer_without_a_next_message_is_kept(text):
    if "\n\nMessage:" not in text:
        assert first_answer(text) == text.strip()


@given(prompt=st.text(), output=st.text())
def test_any_text_can_be_an_example(prompt, output):
    seed = CoverageRow("1", prompt, output, "seed")
    row = CoverageRow("2", prompt, output, "holdout")
    text = few_shot_prompt(row, [seed, row], 1)
    assert text == f"Message: {prompt}\nAnswer: {output}\n\nMessage: {prompt}\nAnswer:"


def test_pairs_that_do_not_fit_the_budget_of_tokens_are_left_out():
    rows = [CoverageRow(str(n), f"{n}" + "p" * 400, "o", "seed") for n in range(6)]
    asked = CoverageRow("h", "last", "o", "holdout")
    assert few_shot_prompt(asked, rows, 6).count("Message: ") == 7
    assert few_shot_prompt(asked, rows, 6, tokens=250).count("Message: ") == 3
    assert few_shot_prompt(asked, rows, 6, tokens=10).count("Message: ") == 2
