"""Runs in folders with odd names, and many rounds in one folder."""

import pytest

from tests.faults.conftest import workplace
from tests.faults.results import result_of, summary_of

LONG = "a folder's name with spaces, (brackets), ünïcödé 名前 🙂 & 100 % {more} " + "x" * 90
ROUNDS = 20


@pytest.mark.slow
def test_a_folder_with_a_long_odd_name_behind_a_link(run, unbroken, tmp_path):
    real = tmp_path / "real" / LONG
    real.mkdir(parents=True)
    assert len(str(real)) > 200
    link = tmp_path / "a link"
    link.symlink_to(real, target_is_directory=True)
    folder = workplace(link / "run 1")
    ended = run(folder)
    assert ended.status == 0, ended.output
    summary = summary_of(folder)
    assert summary.rounds[0].blessed
    assert result_of(folder)["files of the model"] == result_of(unbroken)["files of the model"]
    again = run(folder)
    assert again.status == 0, again.output
    assert all(node.cached for node in summary_of(folder).rounds[0].components)


@pytest.mark.slow
@pytest.mark.soak
def test_an_output_folder_that_is_named_as_a_whole_path(run, tmp_path):
    folder = workplace(tmp_path / "run")
    output = tmp_path / LONG / "output"
    ended = run(folder, f"output_dir={output}", "push.destination=local")
    assert ended.status == 0, ended.output
    assert (output / "report.html").is_file()
    assert list((output / "hub" / "models").glob("*/*/main/config.json"))
    assert not (folder / "output").exists()


@pytest.mark.slow
@pytest.mark.soak
def test_twenty_rounds(run, tmp_path):
    folder = workplace(tmp_path / "run")
    settings = (
        f"rounds.max_rounds={ROUNDS}",
        f"rounds.patience={ROUNDS}",
        "evaluator.gate.threshold_percent=100",
        "synth.rows_per_round=8",
    )
    ended = run(folder, *settings)
    assert ended.status == 0, ended.output
    summary = summary_of(folder)
    assert [entry.round for entry in summary.rounds] == list(range(1, ROUNDS + 1))
    totals = [entry.synthesis.total_rows for entry in summary.rounds]
    assert totals == sorted(totals)
    assert "Traceback" not in ended.output
    again = run(folder, *settings)
    assert again.status == 0, again.output
    assert all(node.cached for entry in summary_of(folder).rounds for node in entry.components)
