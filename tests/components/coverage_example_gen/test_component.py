import os
import pathlib

import pytest
from tfx.orchestration import metadata
from tfx.orchestration.data_types import RuntimeParameter
from tfx.orchestration.local.local_dag_runner import LocalDagRunner
from tfx.orchestration.pipeline import Pipeline
from tfx.types import artifact_utils, standard_artifacts

from components.coverage_example_gen.component import CoverageExampleGen
from components.coverage_example_gen.executor import Executor
from components.examples_io import read_coverage as read_artifact
from components.examples_io import read_examples
from core.errors import UserError
from pipeline.pipeline import LOCAL_BEAM_ARGS
from task.coverage.reader import read_coverage

BEAM_ARGS = list(LOCAL_BEAM_ARGS)


@pytest.fixture
def dataset(folder):
    rows = [
        {
            "id": f"{split}-{n}",
            "prompt": f"Grüße {split} {n} \u2028",
            "output": "ja",
            "references": ["jawohl", "Ja!"][:n],
            "split": split,
        }
        for split in ("seed", "holdout")
        for n in range(3)
    ]
    folder.jsonl("rows.jsonl", *rows)
    folder.bytes("more.csv", "prompt,output,tags\nnoch eins,nein,böse;long\n".encode())
    folder.bytes("DATASHEET.md", b"# Datasheet\n")
    return folder


def execute(folder, output, **parameters):
    """One real execution on Beam, with the execution properties that TFX would hand over."""
    component = CoverageExampleGen(folder.path, code_version="1", **parameters)
    artifact = standard_artifacts.Examples()
    artifact.uri = str(output)
    context = Executor.Context(beam_pipeline_args=BEAM_ARGS, tmp_dir=str(output), unique_id="1")
    Executor(context).Do({}, {"examples": [artifact]}, dict(component.exec_properties))
    return artifact


def test_the_artifact_holds_every_row_in_its_own_split(dataset, tmp_path):
    artifact = execute(dataset, tmp_path / "examples")
    assert artifact_utils.decode_split_names(artifact.split_names) == ["seed", "holdout", "test"]
    assert artifact.get_string_custom_property("payload_format") == "FORMAT_TF_EXAMPLE"
    assert artifact.get_string_custom_property("file_format") == "tfrecords_gzip"
    rows = read_artifact(artifact.uri)
    assert len(rows) == 7
    assert set(rows) == set(read_coverage(dataset.path))


def test_an_example_has_the_four_features_of_the_contract(dataset, tmp_path):
    artifact = execute(dataset, tmp_path / "examples")
    examples = read_examples(artifact.uri, "seed") + read_examples(artifact.uri, "holdout")
    by_prompt = {example["prompt"]: example for example in examples}
    csv_row = by_prompt["noch eins"]
    assert set(csv_row) == {"id", "prompt", "output", "tags"}
    assert csv_row["tags"] == '["böse", "long"]'
    assert by_prompt["Grüße seed 0 \u2028"]["tags"] == "[]"


def test_personal_data_never_reaches_the_artifact(folder, tmp_path):
    rows = [
        {
            "prompt": f"{split}: I am {split}@example.org",
            "output": f"{split}@example.org",
            "split": split,
        }
        for split in ("seed", "holdout")
    ]
    folder.jsonl("rows.jsonl", *rows)
    artifact = execute(folder, tmp_path / "examples", privacy='{"redact": true}')
    assert [(row.prompt, row.output) for row in read_artifact(artifact.uri)] == [
        ("seed: I am [EMAIL_1]", "[EMAIL_1]"),
        ("holdout: I am [EMAIL_1]", "[EMAIL_1]"),
    ]


def test_a_bad_dataset_stops_the_executor_with_the_readers_error(dataset, tmp_path):
    dataset.bytes("bad.jsonl", b"{")
    with pytest.raises(UserError, match=r"bad\.jsonl:1: not JSON"):
        execute(dataset, tmp_path / "examples")


def test_the_share_of_the_holdout_reaches_the_executor(folder, tmp_path):
    folder.jsonl("a.jsonl", *[{"prompt": f"row {n}", "output": "x"} for n in range(200)])
    component = CoverageExampleGen(folder.path, holdout_percent=10)
    artifact = standard_artifacts.Examples()
    artifact.uri = str(tmp_path / "examples")
    context = Executor.Context(beam_pipeline_args=BEAM_ARGS, tmp_dir=str(tmp_path), unique_id="1")
    Executor(context).Do({}, {"examples": [artifact]}, dict(component.exec_properties))
    assert set(read_artifact(artifact.uri)) == set(read_coverage(folder.path, holdout_percent=10))
    assert 8 <= len(read_examples(artifact.uri, "holdout")) <= 32


@pytest.mark.parametrize("percent", [0, 100])
def test_a_share_that_leaves_a_split_empty_is_refused(percent):
    with pytest.raises(ValueError, match=f"holdout_percent is {percent}; expected 1 to 99"):
        CoverageExampleGen("folder", holdout_percent=percent)


def test_the_folder_may_be_a_runtime_parameter():
    parameter = RuntimeParameter(name="coverage_dir", ptype=str)
    assert CoverageExampleGen(parameter).exec_properties["input_base"] is parameter


def test_the_cache_notices_data_and_code_but_not_the_datasheet(dataset, tmp_path):
    def run(code_version):
        """Runs a pipeline of this one component and returns how many artifacts there are."""
        LocalDagRunner().run(
            Pipeline(
                pipeline_name="coverage",
                pipeline_root=str(tmp_path / "root"),
                components=[CoverageExampleGen(dataset.path, code_version=code_version)],
                enable_cache=True,
                metadata_connection_config=metadata.sqlite_metadata_connection_config(
                    str(tmp_path / "metadata.db")
                ),
                beam_pipeline_args=BEAM_ARGS,
            )
        )
        return len(os.listdir(tmp_path / "root" / "CoverageExampleGen" / "examples"))

    assert run("1") == 1
    dataset.bytes("DATASHEET.md", b"# Another text\n")
    assert run("1") == 1
    assert run("2") == 2
    with open(pathlib.Path(dataset.path) / "more.csv", "a", encoding="utf-8") as file:
        file.write("noch zwei,ja,\n")
    assert run("2") == 3
