"""The commands of the tutorial, taken from its text and run to the end by a shell."""

import os
import re
import subprocess
import sys

import pytest

from core.reports.loop import LoopSummary
from tests.docs.guides import REPOSITORY

TUTORIAL = REPOSITORY / "docs" / "tutorial.md"
_COMMANDS = re.compile(r"^```bash\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_SHOWN = re.compile(r"^```text\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_NOT_KEPT = ("GEMINI_API_KEY", "UNDERSTUDY_STANDIN_URL")


def test_every_command_that_a_run_needs_is_in_the_tutorial():
    script = "".join(_COMMANDS.findall(TUTORIAL.read_text(encoding="utf-8")))
    commands = re.findall(r"^understudy (\w+)", script, re.MULTILINE)
    assert commands == ["init", "check", "estimate", "run", "rows", "rows", "check", "estimate"]


@pytest.mark.slow
def test_the_tutorial_works_as_it_is_written(tmp_path):
    text = TUTORIAL.read_text(encoding="utf-8")
    folder = tmp_path / "checkout"
    (folder / ".venv" / "bin").mkdir(parents=True)
    (folder / "pipeline").symlink_to(REPOSITORY / "pipeline")
    # The command of this checkout, whichever one is installed.
    command = folder / ".venv" / "bin" / "understudy"
    runner = REPOSITORY / "local_runner.py"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{runner}" "$@"\n')
    command.chmod(0o755)
    variables = {name: value for name, value in os.environ.items() if name not in _NOT_KEPT}
    variables["PATH"] = f"{command.parent}:{variables['PATH']}"
    done = subprocess.run(
        ["bash", "-euxo", "pipefail", "-c", "\n".join(_COMMANDS.findall(text))],
        cwd=folder,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    printed = done.stdout.splitlines()
    for block in _SHOWN.findall(text):
        for line in block.splitlines():
            assert line in printed, f"{line!r} is shown, and was not printed"
    assert "interval of 55 points" in done.stdout
    summary = LoopSummary.read(str(folder / "output" / "tickets-trial" / "summary.json"))
    assert summary.stand_in
    assert (folder / "output" / "tickets-trial" / "report.html").is_file()
