import importlib
import json
import sys
import types
from collections import Counter

import pytest
from tfx.dsl.compiler import compiler
from tfx.orchestration import pipeline
from tfx.types import channel_utils, standard_artifacts

from components.artifacts import Responses
from components.examples_io import write_examples
from components.response_gen.component import ResponseGen
from components.response_gen.executor import Executor
from components.response_gen.settings import GenerationSettings
from core.errors import UserError
from core.records import ResponseRow
from core.reports.operation import BatchSeconds, GenerationTimes
from core.timed_answers import TimedAnswers

GENERATE_MODULE = "generate_for_response_gen_test"


@pytest.fixture(autouse=True)
def generate_module(monkeypatch):
    """A module that ResponseGen finds by its dotted path; it says what it was given."""

    def generate_fn(*, model_dir, preset, prompts, settings):
        return [[(f"{model_dir or preset}|{prompt}", "stop")] for prompt in prompts]

    module = types.ModuleType(GENERATE_MODULE)
    module.generate_fn = generate_fn
    monkeypatch.setitem(sys.modules, GENERATE_MODULE, module)
    assert importlib.import_module(GENERATE_MODULE) is module


@pytest.fixture
def coverage(tmp_path):
    examples = standard_artifacts.Examples()
    examples.uri = str(tmp_path / "coverage")
    rows = {
        split: [
            {
                "id": f"{split}-{n}",
                "prompt": f"Grüße {n} \u2028",
                "output": "{}",
                "tags": json.dumps(["long", split]),
            }
            for n in range(3)
        ]
        for split in ("seed", "holdout")
    }
    write_examples(examples, rows, span=0)
    return examples


def _run(coverage, tmp_path, model=None, **properties):
    responses = Responses()
    responses.uri = str(tmp_path / "responses")
    Executor().Do(
        {"coverage": [coverage]} | ({"model": [model]} if model else {}),
        {"responses": [responses]},
        {
            "generate_fn": f"{GENERATE_MODULE}.generate_fn",
            "settings": GenerationSettings().model_dump_json(),
            "preset": "",
            "code_version": "",
        }
        | properties,
    )
    text = (tmp_path / "responses" / "responses.jsonl").read_bytes().decode()
    rows = [ResponseRow.from_json(line) for line in text.split("\n") if line]
    return responses, rows


def test_every_coverage_row_is_answered_by_the_base_model(coverage, tmp_path):
    responses, rows = _run(coverage, tmp_path, preset="tiny")
    assert [row.id for row in rows] == sorted(
        f"{s}-{n}" for s in ("seed", "holdout") for n in range(3)
    )
    assert rows[0].response == "tiny|Grüße 0 \u2028"
    assert rows[0].tags == ("long", "holdout")
    assert responses.get_int_custom_property("responses") == 6


def test_the_time_of_the_responses_is_kept_next_to_them(coverage, tmp_path, monkeypatch):
    times = GenerationTimes(
        batch_size=8, batches=(BatchSeconds(responses=6, seconds=1.5),), left_out=0
    )

    def timed(*, model_dir, preset, prompts, settings):
        return TimedAnswers([[(prompt, "stop")] for prompt in prompts], times)

    _run(coverage, tmp_path, preset="tiny")
    file = tmp_path / "responses" / "generation_times.json"
    assert not file.exists(), "where the generate function does not say"
    monkeypatch.setattr(sys.modules[GENERATE_MODULE], "generate_fn", timed)
    _run(coverage, tmp_path, preset="tiny")
    assert GenerationTimes.read(str(file)) == times


def test_of_more_prompts_than_the_limit_so_many_of_each_split_are_answered(coverage, tmp_path):
    _, rows = _run(coverage, tmp_path, preset="tiny", max_prompts="2")
    assert Counter(row.split for row in rows) == {"seed": 2, "holdout": 2}


def test_a_sample_of_each_split_is_answered_and_shown_the_examples_of_all(
    coverage, tmp_path, monkeypatch
):
    def echo(*, model_dir, preset, prompts, settings):
        return [[(prompt.replace("Message", "Asked"), "stop")] for prompt in prompts]

    monkeypatch.setattr(sys.modules[GENERATE_MODULE], "generate_fn", echo)
    settings = GenerationSettings(few_shot=3).model_dump_json()
    _, all_rows = _run(coverage, tmp_path, preset="tiny", settings=settings)
    _, rows = _run(coverage, tmp_path, preset="tiny", settings=settings, sample="1")
    assert Counter(row.split for row in rows) == {"seed": 1, "holdout": 1}
    assert rows == [row for row in all_rows if row.id in {row.id for row in rows}]
    assert [row.response.count("Asked: ") for row in rows] == [4, 3], (
        "a seed is not its own example"
    )


def test_a_tuned_model_answers_the_splits_that_are_named(coverage, tmp_path):
    model = standard_artifacts.Model()
    model.uri = str(tmp_path / "model")
    _, rows = _run(coverage, tmp_path, model=model, splits="holdout,test")
    assert {row.split for row in rows} == {"holdout"}


def test_a_trained_model_is_taken_from_where_the_trainer_wrote_it(coverage, tmp_path):
    model = standard_artifacts.Model()
    model.uri = str(tmp_path / "model")
    _, rows = _run(coverage, tmp_path, model=model)
    assert rows[0].response.startswith(f"{tmp_path}/model/Format-Serving|")


def test_without_any_model_the_error_says_what_to_give(coverage, tmp_path):
    with pytest.raises(UserError, match="trained model or a preset"):
        _run(coverage, tmp_path)


def test_one_pipeline_may_hold_it_twice():
    coverage = channel_utils.as_channel([standard_artifacts.Examples()])
    shared = {"coverage": coverage, "generate_fn": "m.f", "settings": "{}"}
    nodes = [
        ResponseGen(preset="tiny", **shared),
        ResponseGen(preset="tiny", **shared).with_id("BaseResponseGen"),
    ]
    compiled = compiler.Compiler().compile(
        pipeline.Pipeline(pipeline_name="p", pipeline_root="/tmp/p", components=nodes)
    )
    ids = [node.pipeline_node.node_info.id for node in compiled.nodes]
    assert sorted(ids) == ["BaseResponseGen", "ResponseGen"]
