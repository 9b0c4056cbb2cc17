"""Commands, settings and files that a page names are those that there are."""

import re
import shlex

import pytest

from pipeline.cli.commands import LOCAL_COMMANDS, VERTEX_COMMANDS
from pipeline.cli.parser import make_parser
from serving.mode_settings import MODES
from serving.settings import ServingSettings
from tests.docs.guides import REPOSITORY

PAGES = [
    path
    for path in (
        REPOSITORY / "README.md",
        REPOSITORY / "deploy" / "serve" / "README.md",
        *sorted((REPOSITORY / "docs").rglob("*.md")),
    )
    if "notebooks" not in path.parts  # they are run
]
SERVING = [REPOSITORY / "docs" / name for name in ("takeover.md", "cutover.md")]
NAMES = {command.name for command in (*LOCAL_COMMANDS, *VERTEX_COMMANDS)}
_FENCE = re.compile(r"^ *(?:\d\. )?```\w*[^\n]*\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
_PLACEHOLDERS = {"MODE": "failover"}


def commands(text):
    """The commands in the code of a page: lines of its blocks, and spans that begin with one."""
    blocks = "".join(_FENCE.findall(text)).replace("\\\n", " ")
    lines = [line.strip() for line in blocks.splitlines()]
    spans = [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", _FENCE.sub("", text))]
    return [code for code in (*lines, *spans) if code.startswith("understudy ")]


def words_of(command):
    """What a shell gives to the program, with something in the place of each placeholder."""
    words = shlex.split(command, comments=True)[1:]
    return [_PLACEHOLDERS.get(w, "1") if re.fullmatch(r"[A-Z][A-Z_]*", w) else w for w in words]


def test_commands_are_found_in_blocks_and_in_spans():
    text = (
        "a `understudy serve\nmode MODE` b\n\n```\nunderstudy drill \\\n  --rate 5  # often\n```\n"
    )
    found = [words_of(command) for command in commands(text)]
    assert found == [["drill", "--rate", "5"], ["serve", "mode", "failover"]]
    assert all(len(commands(page.read_text(encoding="utf-8"))) > 8 for page in SERVING)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_command_of_a_page_is_one_that_the_parser_takes(page):
    for command in commands(page.read_text(encoding="utf-8")):
        words = words_of(command)
        if words in [[name] for name in NAMES]:
            continue  # a command is spoken of, and not written out
        try:
            make_parser().parse_args(words)
        except SystemExit:
            pytest.fail(f"{page.name}: `{command}` is no command of understudy")


def test_the_steps_of_the_cut_over_are_its_commands():
    written = [words_of(command) for command in commands(SERVING[1].read_text(encoding="utf-8"))]
    parsed = [vars(make_parser().parse_args(words)) for words in written]
    modes = {options["mode"] for options in parsed if options.get("action") == "mode"} - {None}
    assert modes <= set(MODES)
    [walk] = [words for words in written if "--to" in words]
    options = make_parser().parse_args(walk)
    assert (options.to, options.steps, options.back) == (100, "1,5,25,100", False)
    names = [options["command"].name for options in parsed]
    assert {"serve", "verdict", "cutover", "confidence", "watch", "label"} <= set(names)


@pytest.mark.parametrize("page", SERVING, ids=lambda page: page.stem)
def test_every_setting_of_serving_that_a_page_names_exists(page):
    names = set(re.findall(r"`serving\.([a-z_.]+)", page.read_text(encoding="utf-8")))
    assert len(names) > 10
    for name in names:
        model = ServingSettings
        for part in name.rstrip(".").split("."):
            assert part in model.model_fields, f"{page.name}: there is no serving.{name}"
            kind = model.model_fields[part].annotation
            model = kind if hasattr(kind, "model_fields") else None


def test_the_first_screen_of_the_readme_says_that_a_gateway_takes_over():
    screen = "\n".join((REPOSITORY / "README.md").read_text(encoding="utf-8").splitlines()[:40])
    assert re.search(r"lets it answer when the\s+service is down", screen)
    assert re.search(r"^make serve ", screen, re.MULTILINE)
    assert "](docs/takeover.md)" in screen
