"""The token is in no execution property, artifact, file or log of a pipeline's run."""

import logging
import sqlite3

import pytest
from tfx.dsl.components.common.importer import Importer
from tfx.orchestration import metadata
from tfx.orchestration.local.local_dag_runner import LocalDagRunner
from tfx.orchestration.pipeline import Pipeline
from tfx.types import artifact_utils, standard_artifacts

from components.artifacts import CoverageReport, Exports
from components.examples_io import write_examples
from components.hf_pusher.component import HFPusher
from components.hf_pusher.settings import PushSettings
from tests.components.hf_pusher.conftest import XET_LOGS
from tests.components.hf_pusher.secret_manager import SECRET, serving_secrets


@pytest.fixture
def round_nodes(tmp_path, source):
    """What the other components of a round left behind, as nodes of a pipeline."""
    report, synthetic = tmp_path / "report", standard_artifacts.Examples()
    report.mkdir()
    (report / "coverage_report.json").write_text(source.report.to_json())
    (report / "verdicts.jsonl").write_bytes(source.verdicts)
    synthetic.uri = str(tmp_path / "synthetic")
    write_examples(synthetic, source.rows, span=2)
    (tmp_path / "synthetic" / "synthesis.json").write_text(source.synthesis.to_json())
    (tmp_path / "synthetic" / "README.md").write_text(source.dataset_card)
    splits = artifact_utils.encode_split_names(list(source.rows))
    blessed = {"blessed": 1}
    return {
        "model": Importer(
            source_uri=str(tmp_path / "model"), artifact_type=standard_artifacts.Model
        ).with_id("model"),
        "model_blessing": Importer(
            source_uri=str(tmp_path),
            artifact_type=standard_artifacts.ModelBlessing,
            custom_properties=blessed,
        ).with_id("blessing"),
        "exports": Importer(source_uri=str(tmp_path / "exports"), artifact_type=Exports).with_id(
            "exports"
        ),
        "report": Importer(source_uri=str(report), artifact_type=CoverageReport).with_id("report"),
        "synthetic": Importer(
            source_uri=synthetic.uri,
            artifact_type=standard_artifacts.Examples,
            properties={"split_names": splits},
        ).with_id("synthetic"),
    }


@pytest.fixture
def run_pipeline(tmp_path, round_nodes, task):
    def run(settings):
        pusher = HFPusher(
            **{name: node.outputs["result"] for name, node in round_nodes.items()},
            settings=settings.model_dump_json(),
            task=task.model_dump_json(),
            round=2,
        )
        pipeline = Pipeline(
            pipeline_name="push",
            pipeline_root=str(tmp_path / "root"),
            components=[*round_nodes.values(), pusher],
            metadata_connection_config=metadata.sqlite_metadata_connection_config(
                str(tmp_path / "metadata.sqlite")
            ),
        )
        LocalDagRunner().run(pipeline)

    return run


@pytest.fixture
def place(request, monkeypatch, tmp_path, hub_server):
    """Puts the token where the parameter says; returns settings that find it."""
    settings = PushSettings(endpoint=hub_server.url)
    if request.param == "variable":
        monkeypatch.setenv("HF_TOKEN", hub_server.token)
        yield settings
    elif request.param == "login":
        (tmp_path / "login").mkdir()
        (tmp_path / "login" / "token").write_text(hub_server.token)
        monkeypatch.setattr(
            "huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "login" / "token")
        )
        yield settings.model_copy(update={"destination": "hub"})
    else:
        with serving_secrets(monkeypatch) as secrets:
            secrets[SECRET] = hub_server.token
            yield settings.model_copy(update={"token_secret": SECRET})


@pytest.mark.parametrize(
    ("hub_server", "place", "fails"),
    [
        ("lfs", "variable", False),
        ("xet", "login", False),
        ("xet", "secret", False),
        ("xet", "variable", True),
    ],
    indirect=["hub_server", "place"],
    ids=["variable", "login", "secret", "failed"],
)
def test_a_run_writes_the_token_nowhere(
    run_pipeline, place, fails, hub_server, tmp_path, caplog, capfd
):
    if fails:
        hub_server.fail("commit", 403, "no right")
    shown = ""
    with caplog.at_level(logging.DEBUG):
        try:
            run_pipeline(place)
        except Exception as error:
            shown = f"{error!r} {error.__cause__!r}"
    assert ("may not write" in shown) == fails, shown
    assert fails or hub_server.repositories["space", "me/support-triage"].tags

    database = sqlite3.connect(tmp_path / "metadata.sqlite")
    stored = "\n".join(database.iterdump())
    database.close()
    assert '"token_env":"HF_TOKEN"' in stored, "the execution and its properties are there"
    token = hub_server.token.encode()
    logs = list(XET_LOGS.glob("*.log"))
    assert logs or hub_server.transfer == "lfs"
    files = [p for p in tmp_path.rglob("*") if p.is_file() and p.name != "token"]
    assert not [path for path in (*files, *logs) if token in path.read_bytes()]
    out, err = capfd.readouterr()
    for text in (stored, shown, caplog.text, out, err):
        assert hub_server.token not in text
    pushed = [
        content
        for repository in hub_server.repositories.values()
        for _, _, its_files in repository.commits
        for content in its_files.values()
    ]
    assert not [content for content in pushed if token in content]
