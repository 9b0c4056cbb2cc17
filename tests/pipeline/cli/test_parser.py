"""Every command has a description, an example that parses, and says its options' defaults."""

import importlib
import inspect
import shlex
from unittest import mock

import pytest

from pipeline.cli import main
from pipeline.cli.commands import LOCAL_COMMANDS, VERTEX_COMMANDS
from pipeline.cli.parser import VERTEX, make_parser

COMMANDS = [
    *(pytest.param(None, command, id=command.name) for command in LOCAL_COMMANDS),
    *(pytest.param(VERTEX, command, id=f"vertex {command.name}") for command in VERTEX_COMMANDS),
]


@pytest.mark.parametrize(("group", "command"), COMMANDS)
def test_the_example_of_a_command_parses_and_its_function_exists(group, command):
    options = vars(make_parser(group).parse_args(shlex.split(command.example)))
    module, _, name = options.pop("command").function.partition(":")
    function = getattr(importlib.import_module(module), name)
    inspect.signature(function).bind(**options, say=print)


@pytest.mark.parametrize(("group", "command"), COMMANDS)
def test_the_help_of_a_command_is_whole(group, command, capsys):
    with pytest.raises(SystemExit):
        make_parser(group).parse_args([command.name, "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert " ".join(command.description.split()) in text
    assert f"example: understudy {command.example}" in text


@pytest.mark.parametrize(("group", "command"), COMMANDS)
def test_every_option_says_its_default(group, command):
    # argparse keeps the parsers of commands here; it has no public way to them.
    parser = make_parser(group)._subparsers._group_actions[0].choices[command.name]
    optional = [
        action for action in parser._actions if action.option_strings and action.dest != "help"
    ]
    missing = [a.dest for a in optional if not a.required and "default" not in (a.help or "")]
    assert missing == []


def test_libraries_print_where_a_log_of_a_run_receives_it(monkeypatch):
    silenced = []
    monkeypatch.setattr(main, "_silence_libraries", lambda: silenced.append(name))
    monkeypatch.setattr(main.importlib, "import_module", lambda _: mock.MagicMock())
    monkeypatch.setattr(main, "_say", print)
    for command in LOCAL_COMMANDS:
        name = command.name
        main.main(shlex.split(command.example))
    assert {command.name for command in LOCAL_COMMANDS} - set(silenced) == {"run", "sweep"}


def test_both_runners_share_one_parser():
    everything = make_parser()
    on_vertex = vars(everything.parse_args(["vertex", "status", "--loop", "mine"]))
    assert on_vertex == vars(make_parser(VERTEX).parse_args(["status", "--loop", "mine"]))
