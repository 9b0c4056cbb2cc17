import pytest

from components.response_gen.responses import respond
from components.response_gen.settings import GenerationSettings
from core.errors import UserError
from core.reports.operation import BatchSeconds, GenerationTimes
from core.timed_answers import TimedAnswers


def rows_of(*arguments, **settings):
    return respond(*arguments, **settings).rows


class EchoModel:
    """Answers with the prompt in capitals; remembers how it was called."""

    def __init__(self):
        self.calls = []

    def __call__(self, *, model_dir, preset, prompts, settings):
        self.calls.append({"model_dir": model_dir, "preset": preset, "settings": settings})
        samples = settings["samples"]
        return [[(f"{p.upper()} {n}", "stop") for n in range(samples)] for p in prompts]


def test_responses_stand_in_the_order_of_their_ids(coverage_row):
    rows = [coverage_row(name) for name in ("b", "c", "a")]
    found = rows_of(rows, EchoModel(), GenerationSettings(), preset="tiny")
    assert [(r.id, r.response) for r in found] == [
        ("a", "CAPITAL OF A? 0"),
        ("b", "CAPITAL OF B? 0"),
        ("c", "CAPITAL OF C? 0"),
    ]


def test_a_response_keeps_what_is_known_of_its_row(coverage_row):
    row = coverage_row("a", split="holdout", tags=("typos",))
    (found,) = rows_of([row], EchoModel(), GenerationSettings(), preset="tiny")
    assert (found.prompt, found.output, found.split, found.tags) == (
        row.prompt,
        row.output,
        "holdout",
        ("typos",),
    )


def test_all_prompts_go_to_the_model_in_one_call(coverage_row):
    model = EchoModel()
    respond(
        [coverage_row(str(n)) for n in range(20)],
        model,
        GenerationSettings(max_output_tokens=7),
        model_dir="/model",
    )
    (call,) = model.calls
    assert (call["model_dir"], call["preset"]) == ("/model", "")
    assert call["settings"]["max_output_tokens"] == 7


def test_samples_are_numbered(coverage_row):
    settings = GenerationSettings(samples=3, temperature=1.0)
    found = rows_of([coverage_row("a"), coverage_row("b")], EchoModel(), settings, preset="tiny")
    assert [(r.id, r.sample) for r in found] == [(name, n) for name in "ab" for n in range(3)]


def test_a_cut_off_response_is_marked(coverage_row):
    def cut(**_):
        return [[("never end", "length")]]

    (found,) = rows_of([coverage_row("a")], cut, GenerationSettings(), preset="tiny")
    assert found.finish == "length"


def test_a_few_shot_response_that_went_on_has_ended_its_answer(coverage_row):
    def goes_on(**_):
        return [[("Lima\n\nMessage: and", "length")], [("Lima and", "length")]]

    rows = [coverage_row("a"), coverage_row("b")]
    first, second = rows_of(rows, goes_on, GenerationSettings(few_shot=1), preset="tiny")
    assert (first.response, first.finish) == ("Lima", "stop")
    assert (second.response, second.finish) == ("Lima and", "length")
    assert first.prompt == rows[0].prompt, "the examples are no part of the coverage prompt"


def test_a_model_is_prompted_with_instruction_and_pairs_only_where_it_is_to_see_them(coverage_row):
    def shows(*, prompts, **_):
        return [[(prompt, "stop")] for prompt in prompts]

    rows = [coverage_row("a"), coverage_row("b", split="holdout")]
    plain = rows_of(rows, shows, GenerationSettings(instruction="Do it."), preset="tiny")
    assert [row.response for row in plain] == [row.prompt for row in rows]
    asked = []

    def keeps(*, prompts, **_):
        asked.extend(prompts)
        return [[("x", "stop")] for _ in prompts]

    settings = GenerationSettings(few_shot=2, instruction="Do it.")
    respond(rows, keeps, settings, preset="tiny")
    assert all(prompt.startswith("Do it.\n\nMessage: ") for prompt in asked)
    assert rows[0].output in asked[1]


@pytest.mark.parametrize(
    "source", [{}, {"model_dir": "/m", "preset": "p"}], ids=["neither", "both"]
)
def test_exactly_one_model_is_asked(coverage_row, source):
    with pytest.raises(UserError, match="trained model or a preset"):
        respond([coverage_row("a")], EchoModel(), GenerationSettings(), **source)


def test_an_id_that_appears_twice_is_refused(coverage_row):
    with pytest.raises(UserError, match="'a' appears twice"):
        respond([coverage_row("a")] * 2, EchoModel(), GenerationSettings(), preset="tiny")


@pytest.mark.parametrize(
    "answers",
    [
        pytest.param([], id="a prompt without answer"),
        pytest.param([[("x", "stop")] * 2], id="too many samples"),
    ],
)
def test_a_generate_function_that_miscounts_is_caught(coverage_row, answers):
    with pytest.raises(ValueError, match="generate_fn returned"):
        respond([coverage_row("a")], lambda **_: answers, GenerationSettings(), preset="tiny")


def test_the_time_of_the_answers_is_passed_on_where_the_model_says_it(coverage_row):
    times = GenerationTimes(
        batch_size=2, batches=(BatchSeconds(responses=2, seconds=0.5),), left_out=1
    )
    rows = [coverage_row("a"), coverage_row("b")]

    def timed(**_):
        return TimedAnswers([[("A", "stop")], [("B", "stop")]], times)

    found = respond(rows, timed, GenerationSettings(), preset="tiny")
    assert [row.response for row in found.rows] == ["A", "B"]
    assert found.times == times
    assert respond(rows, EchoModel(), GenerationSettings(), preset="tiny").times is None
