"""Accepted requests of real traffic are seeds of the next round."""

import types

from tfx.types.standard_artifacts import Examples

from components.coverage_example_gen.component import CoverageExampleGen
from components.coverage_example_gen.executor import Executor
from components.examples_io import read_examples
from core.candidates import CandidateRow
from labelling.candidates import CandidateQueue
from pipeline.pipeline import LOCAL_BEAM_ARGS
from tests.components.synth_data_gen.test_executor import execute, served

ACCEPTED = CandidateRow(
    "traffic-1", "Do you also deliver to Chile?", '{"city": "Santiago"}', ("odd",), "not covered"
)
REJECTED = CandidateRow("traffic-2", "Sing me a song", '{"city": "-"}', (), "unlike")


def ingested(folder, output):
    """The dataset as CoverageExampleGen hands it to the round."""
    artifact = Examples()
    artifact.uri = str(output)
    component = CoverageExampleGen(str(folder), code_version="1")
    context = Executor.Context(
        beam_pipeline_args=list(LOCAL_BEAM_ARGS), tmp_dir=str(output), unique_id="1"
    )
    Executor(context).Do({}, {"examples": [artifact]}, dict(component.exec_properties))
    return artifact


def test_an_accepted_request_is_shown_to_the_service_that_writes_the_next_round(
    tmp_path, seeds, holdout, make_service, task
):
    folder = tmp_path / "coverage"
    folder.mkdir()
    rows = "".join(f"{row.to_json()}\n" for row in [*seeds, *holdout])
    (folder / "rows.jsonl").write_text(rows, encoding="utf-8")
    queue = CandidateQueue(
        types.SimpleNamespace(
            coverage_dir=folder, folder=tmp_path, verdicts=(), candidates=(ACCEPTED, REJECTED)
        )
    )
    queue.decide(ACCEPTED, "accept", "", "ada")
    queue.decide(REJECTED, "reject", "", "ada")
    coverage = ingested(folder, tmp_path / "examples")
    prompts = [example["prompt"] for example in read_examples(coverage.uri, "seed")]
    assert prompts.count(ACCEPTED.prompt) == 1
    assert ACCEPTED.prompt not in str(read_examples(coverage.uri, "holdout"))
    with served(make_service) as service:
        execute(coverage, task, tmp_path)
    sent = [request.prompt for request in service.requests]
    assert any(ACCEPTED.prompt in prompt and "Santiago" in prompt for prompt in sent)
    assert not any(REJECTED.prompt in prompt for prompt in sent)
