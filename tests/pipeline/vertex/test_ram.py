"""Two rounds of the compiled job in a bucket that no local call can open.

The proof of `test_proof.py` runs on local folders, where an `open()` of an artifact would pass and
fail in the cloud. Here the artifacts are on `ram://`. Only the journal stays local: it is written
through Google's storage client, which `test_journal_in_a_bucket` asks.
"""

import base64
import json
from pathlib import Path

import pytest

from components.examples_io import read_examples
from pipeline.vertex.compile import compile_job
from pipeline.vertex.run import round_result
from standin.server import serve
from tests.components.hf_pusher.hub_server import running_hub
from tests.pipeline.vertex.conftest import BUCKET, vertex_config
from tests.pipeline.vertex.local_vertex import LocalVertex

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture
def journal(tmp_path):
    """A local folder with a salt, on which the stand-in's answers depend."""
    folder = tmp_path / "journal"
    folder.mkdir()
    (folder / "salt").write_bytes(base64.b16encode(bytes(32)))
    return folder


@pytest.mark.slow
def test_two_rounds_and_a_push_open_nothing_locally(monkeypatch, tmp_path, journal):
    from tests.pipeline.vertex.ram import RamPath, ram_bucket

    monkeypatch.chdir(REPOSITORY)
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    with serve() as server, running_hub() as hub, ram_bucket() as bucket:
        hub.transfer = "lfs"
        monkeypatch.setenv("UNDERSTUDY_STANDIN_URL", server.url)
        monkeypatch.setenv("HF_TOKEN", hub.token)
        config = vertex_config(
            "smoke",
            f"vertex.repository_dir={REPOSITORY}",
            f"output_dir={tmp_path / 'output'}",
            "evaluator.gate.threshold_percent=0.0",
            "training.checkpoint_steps=2",
            "push.destination=hub",
            f"push.endpoint={hub.url}",
        )
        text = json.dumps(compile_job(config)).replace(f"{BUCKET}/journal", str(journal))
        service = LocalVertex(json.loads(text), BUCKET, bucket)
        results = []
        for number in (1, 2):
            parameters = {"round": number}
            if results:
                before = results[-1]
                parameters |= {
                    "history_uri": before.synthetic_uri,
                    "report_uri": before.report_uri,
                    "warm_start_uri": before.model_uri,
                }
            details = service.run(f"round-{number}", parameters)
            results.append(
                round_result(
                    details, number, f"round-{number}", lambda uri: RamPath(uri).read_bytes()
                )
            )
        first, second = (len(read_examples(r.synthetic_uri, "train")) for r in results)
        assert second > first > 0
        for number, result in enumerate(results, 1):
            assert result.model_uri.startswith("ram://")
            pushed = json.loads(RamPath(f"{result.pushed_uri}/pushed.json").read_text())
            assert pushed["tag"].startswith(f"round-{number}-")
            assert pushed["destination"].startswith(hub.url), pushed
    assert not list(REPOSITORY.glob("ram:*")), "a local file of the URI's name"
