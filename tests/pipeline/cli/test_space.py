"""The command that becomes the server of the application."""

import pytest

import local_runner
from core.reports.loop import RoundArtifacts
from tests.records import loop_summary


@pytest.mark.parametrize(
    ("asked", "listens"), [([], []), (["--port", "7861"], ["--port=7861"])], ids=["any", "7861"]
)
def test_the_application_listens_where_it_is_asked_to(tmp_path, monkeypatch, asked, listens):
    artifacts = RoundArtifacts(synthetic="", model="m", exports="", report="r", pushed="")
    file = tmp_path / "summary.json"
    file.write_text(loop_summary([artifacts], 1).to_json(), encoding="utf-8")
    started = []
    monkeypatch.setattr("os.execve", lambda program, arguments, environ: started.append(arguments))
    output = ["--set", f"output_dir={tmp_path}"]
    assert local_runner.main(["space", "--preset", "smoke", *output, *asked]) == 0
    (arguments,) = started
    assert [word for word in arguments if word.startswith("--port")] == listens
    assert f"--log={tmp_path / 'space.log'}" in arguments
