import pydantic
import pytest

from core.conversation import Conversation, Message
from task.messages import exchange


def message(role, text="text"):
    return Message(role=role, text=text)


def conversation(*roles):
    return Conversation(messages=tuple(message(role) for role in roles))


@pytest.mark.parametrize(
    "roles",
    [("user",), ("system", "user"), ("user", "assistant", "user")],
    ids=["one", "system", "turns"],
)
def test_a_conversation_takes_turns_and_ends_with_the_user(roles):
    assert len(conversation(*roles).messages) == len(roles)


@pytest.mark.parametrize(
    "roles",
    [
        (),
        ("system",),
        ("assistant",),
        ("user", "user"),
        ("user", "assistant"),
        ("user", "system", "user"),
        ("assistant", "user"),
    ],
    ids="-".join,
)
def test_anything_else_is_no_conversation(roles):
    with pytest.raises(pydantic.ValidationError, match="ending with user"):
        conversation(*roles)


def test_a_blank_message_is_refused():
    with pytest.raises(pydantic.ValidationError, match="no text"):
        message("user", " \n")


def test_a_conversation_is_frozen_and_survives_json():
    made = Conversation.from_text("Hi", system="Be kind.")
    assert Conversation.model_validate_json(made.model_dump_json()) == made
    with pytest.raises(pydantic.ValidationError):
        made.messages[0].text = "other"


def test_the_system_message_stands_apart():
    made = Conversation.from_text("Hi", system="Be kind.")
    assert (made.system, made.text) == ("Be kind.", "Hi")
    assert made.without_system() == Conversation.from_text("Hi")
    assert made.without_system().system is None


def test_neighbours_of_one_role_are_joined():
    parts = [message("user", "one"), message("user", "two"), message("assistant", "three")]
    found = exchange(parts)
    assert found == (Conversation.from_text("one\n\ntwo"), "three")


@pytest.mark.parametrize("roles", [(), ("user",)], ids=["nothing", "question-only"])
def test_an_exchange_without_an_answer_is_refused(roles):
    with pytest.raises(ValueError, match="no answer"):
        exchange(message(role) for role in roles)
