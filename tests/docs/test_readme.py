"""What the README and the guides have a user do before the first paid run."""

import re
import shlex

import pytest

from pipeline.cli.parser import make_parser
from tests.docs.guides import REPOSITORY

_BLOCK = re.compile(r"^ *```\w*\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)
PAGES = {
    "README.md": "make run PRESET=",
    "docs/own_data.md": "make run PRESET=",
    "docs/tutorial.md": "understudy run --preset",
}


@pytest.mark.parametrize(("page", "run"), PAGES.items(), ids=PAGES)
def test_the_services_are_asked_once_before_the_first_run(page, run):
    text = (REPOSITORY / page).read_text(encoding="utf-8")
    blocks = [block for block in _BLOCK.findall(text) if "--online" in block]
    assert len(blocks) == 1
    commands = [line.strip() for line in blocks[0].splitlines()]
    checks = next(line for line in commands if "--online" in line)
    runs = next(line for line in commands if line.startswith(run))
    assert commands.index(checks) < commands.index(runs)
    found = make_parser().parse_args(shlex.split(checks)[1:])
    assert (found.command.name, found.online) == ("check", True)


def test_the_readme_says_when_to_ask_them_and_what_that_shows_and_costs():
    text = " ".join((REPOSITORY / "README.md").read_text(encoding="utf-8").split())
    sentence = re.search(r"[^.]*--online`, run it before the first run:[^.]*\.", text)
    assert sentence, "nobody is told to run it before the first run"
    for part in ("one small request of each kind to each service", "fraction of a cent",
                 "what works", "what had to be adapted", "what a reply looks like"):  # fmt: skip
        assert part in sentence[0]
