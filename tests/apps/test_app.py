"""What the page hands to the model."""

import dataclasses
import json
import subprocess
import sys


class Echo:
    """An answerer that is ready and keeps what it was asked."""

    is_ready, error, loading_seconds = True, "", 0

    def __init__(self):
        self.asked = []

    def stream(self, prompt, earlier=()):
        self.asked.append(prompt)
        self.earlier = list(earlier)
        yield "yes"


def ask(answerer, message, history=(), evaluation=None, personal=None):
    import app

    blocks = app.build(answerer, evaluation, app.About("Triage", "", "a model"), personal)
    [function] = [known.fn for known in blocks.fns.values() if known.name == "ask"]
    return list(function(message, list(history)))


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


def test_a_message_unlike_the_task_gets_a_hint_beside_the_answer(evaluation):
    first = evaluation.rows[0]
    rows = [dataclasses.replace(first, prompt=f"my cam number {n} is broken") for n in range(30)]
    known = dataclasses.replace(evaluation, rows=rows)
    *_, (_, _, beside) = ask(Echo(), "What is the capital of France?", (), known)
    assert "unlike the prompts of the task" in beside
    *_, (_, _, beside) = ask(Echo(), "my cam number 77 is broken", (), known)
    assert "unlike" not in beside
    *_, (_, _, beside) = ask(Echo(), "my cam number 7 is broken", (), known)
    assert "Reference" in beside


def test_a_message_is_compared_with_the_prompts_once_and_a_known_prompt_never(
    evaluation, monkeypatch
):
    from likeness import Likeness

    compared = []
    monkeypatch.setattr(Likeness, "is_unlike", lambda self, text: compared.append(text) or False)
    ask(Echo(), evaluation.rows[0].prompt, (), evaluation)
    ask(Echo(), "something else", (), evaluation)
    assert compared == ["something else"]


def test_an_example_fills_in_the_message_and_shows_its_reference(evaluation):
    import app

    blocks = app.build(Echo(), evaluation, app.About("Triage", "", "a model"))
    row = evaluation.rows[0]
    (chip,) = [b for b in blocks.blocks.values() if getattr(b, "value", "") == row.prompt]
    assert type(chip).__name__ == "Button"
    (chosen,) = [known.fn for known in blocks.fns.values() if (chip._id, "click") in known.targets]
    _, message, beside = chosen()
    assert message == row.prompt
    assert "Reference" in beside


HISTORY = (
    {"role": "user", "content": "a"},
    {"role": "assistant", "content": "b"},
    {"role": "user", "content": "lost"},
    {"role": "assistant", "content": "No response. It failed."},
)


def test_a_task_of_single_messages_sends_no_earlier_turns(evaluation):
    answerer = Echo()
    ask(answerer, "c", HISTORY, evaluation)
    assert (answerer.asked, answerer.earlier) == (["c"], [])


def test_a_task_of_conversations_sends_the_turns_that_were_answered(evaluation):
    turns = [("user", "a"), ("assistant", "b"), ("user", "c")]
    prompt = json.dumps([{"role": role, "content": text} for role, text in turns])
    row = dataclasses.replace(evaluation.rows[0], prompt=prompt, output="the reference")
    answerer = Echo()
    *_, (history, _, beside) = ask(
        answerer, "c", HISTORY, dataclasses.replace(evaluation, rows=[row])
    )
    assert (answerer.asked, answerer.earlier) == (["c"], ["a", "b"])
    assert history[-1] == {"role": "assistant", "content": "yes"}
    assert "the reference" in beside, "the coverage prompt is found by its turns"


def test_earlier_turns_with_html_reach_the_model_as_they_were_said(evaluation):
    said = ("is a < b &amp; c? <img src=x>", "<b>yes</b> &lt;", "and d?")
    turns = json.dumps([{"role": "user", "content": said[0]},
                        {"role": "assistant", "content": said[1]},
                        {"role": "user", "content": said[2]}])  # fmt: skip
    row = dataclasses.replace(evaluation.rows[0], prompt=turns)
    of_conversations = dataclasses.replace(evaluation, rows=[row])
    history = []
    for answer, message in zip((said[1], "yes"), (said[0], said[2]), strict=True):
        answerer = Says(answer)
        *_, (history, _, _) = ask(answerer, message, history, of_conversations)
    assert (answerer.asked, answerer.earlier) == ([said[2]], list(said[:2]))
    assert not any("<" in turn["content"] for turn in history), "none of it is HTML in the chat"


class Says(Echo):
    """Answers the same to everything."""

    def __init__(self, answer):
        super().__init__()
        self.answer = answer

    def stream(self, prompt, earlier=()):
        for _ in super().stream(prompt, earlier):
            yield self.answer


class Parrot(Echo):
    """Answers with the message, as JSON."""

    def stream(self, prompt, earlier=()):
        for _ in super().stream(prompt, earlier):
            yield json.dumps({"said": prompt})


def test_personal_data_is_hidden_from_the_model_and_put_back_where_the_task_redacts(evaluation):
    from personal_data import PersonalData

    answerer = Parrot()
    personal = PersonalData({"redact": True})
    *_, (history, *_) = ask(answerer, "I am Ada@example.org", personal=personal)
    assert answerer.asked == ["I am [EMAIL_1]"]
    assert history[-1]["content"] == '{"said": "I am Ada@example.org"}'
    answerer = Parrot()
    ask(answerer, "I am Ada@example.org", personal=PersonalData({"redact": False}))
    assert answerer.asked == ["I am Ada@example.org"]


def test_a_placeholder_stands_for_the_same_in_all_turns(evaluation):
    from personal_data import PersonalData

    turns = [("user", "a"), ("assistant", "b"), ("user", "c")]
    prompt = json.dumps([{"role": role, "content": text} for role, text in turns])
    rows = [dataclasses.replace(evaluation.rows[0], prompt=prompt)]
    answerer = Echo()
    ask(
        answerer,
        "To ben@example.org, and a copy to ada@example.org",
        [
            {"role": "user", "content": "I am ada@example.org"},
            {"role": "assistant", "content": "Hello ada@example.org"},
        ],
        dataclasses.replace(evaluation, rows=rows),
        PersonalData({"redact": True}),
    )
    assert answerer.earlier == ["I am [EMAIL_1]", "Hello [EMAIL_1]"]
    assert answerer.asked == ["To [EMAIL_2], and a copy to [EMAIL_1]"]


def test_a_library_does_not_bury_the_address_and_an_error_of_python_is_seen(
    space_modules, tmp_path
):
    log = tmp_path / "space.log"
    program = (
        "import app, os, pathlib, sys\n"
        f"app._keep_screen(pathlib.Path({str(log)!r}))\n"
        "os.write(2, b'a cuDNN factory\\n')\n"
        "raise SystemExit('no evaluation')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=space_modules,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr.splitlines()[-1] == "no evaluation"
    assert "cuDNN" not in done.stderr
    assert log.read_text() == "a cuDNN factory\n"
