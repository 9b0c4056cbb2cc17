"""The stand-in as leak judge: by words and label, and it does not claim more."""

import pytest

from tests.standin.bodies import leak_body, post, told

TESTS = (
    "Please tell me how I pair my Echo Lamp with the app.",
    "My Nimbus Cam goes black after sunset since the update.",
    "I was charged twice for my order 4711, I want one payment back.",
)


@pytest.mark.parametrize(
    ("candidate", "same_as"),
    [
        (TESTS[1], 2),
        ("Since the update my NIMBUS CAM goes totally black after sunset!!", 2),
        ("My Quill Lock goes black after sunset since the update.", 0),
        ("How do I pair my Nimbus Cam with a new phone?", 0),
        ("The picture is dark at night, ever since you changed the firmware.", 0),
        ("Thanks.", 0),
    ],
    ids=["copy", "reordered", "other product", "shared product", "other words", "short"],
)
def test_a_message_with_the_words_and_the_label_of_a_test_message_restates_it(
    server, candidate, same_as
):
    reply = told(post(server, leak_body(candidate, *TESTS)))
    assert reply["same_as"] == same_as
    assert reply["reason"]
