"""What the page hands to the model."""


class Echo:
    """An answerer that is ready and keeps what it was asked."""

    is_ready, error, loading_seconds = True, "", 0

    def __init__(self):
        self.asked = []

    def stream(self, prompt):
        self.asked.append(prompt)
        yield "yes"


def ask(answerer, message):
    import app

    blocks = app.build(answerer, None, "Triage", "a model")
    [function] = [known.fn for known in blocks.fns.values() if known.name == "ask"]
    return list(function(message, []))


def test_a_message_reaches_the_model_as_it_was_written():
    answerer = Echo()
    *_, (history, left, _) = ask(answerer, "  my cam\n is broken \n")
    assert answerer.asked == ["  my cam\n is broken \n"]
    assert [turn["content"] for turn in history] == [answerer.asked[0], "yes"]
    assert left == ""


def test_a_blank_message_is_not_asked():
    answerer = Echo()
    [(history, *_)] = ask(answerer, " \n")
    assert (answerer.asked, history) == ([], [])
