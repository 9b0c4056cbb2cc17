"""Builds the parser of the command line, and its pages, from the table of commands."""

import argparse
import difflib
from collections.abc import Sequence

from pipeline.cli.commands import LOCAL_COMMANDS, VERTEX_COMMANDS, Command

PROGRAM = "understudy"
COMMAND = "command"
"""The option that holds the `Command` that was called."""
VERTEX = "vertex"


class Parser(argparse.ArgumentParser):
    """Names the closest command where one is mistyped."""

    def _check_value(self, action: argparse.Action, value: object) -> None:
        try:
            super()._check_value(action, value)
        except argparse.ArgumentError as error:
            close = difflib.get_close_matches(str(value), list(map(str, action.choices or ())), 1)
            if close:
                error.message = f"there is no {value!r}. Did you mean {close[0]!r}?"
            raise


def make_parser(group: str | None = None, program: str = PROGRAM) -> argparse.ArgumentParser:
    """Build the parser.

    Args:
        group: `vertex` for the commands of that group alone; None for all commands.
        program: The program's name in the help texts.
    """
    parser = Parser(
        prog=program, description="Train a small open model to take over a task from a service LLM."
    )
    if group == VERTEX:
        _add_commands(parser, VERTEX_COMMANDS)
        return parser
    commands = _add_commands(parser, LOCAL_COMMANDS)
    summary = "run the pipeline on Vertex AI Pipelines"
    vertex = commands.add_parser(VERTEX, help=summary, description=_sentence(summary))
    _add_commands(vertex, VERTEX_COMMANDS)
    return parser


def command_pages() -> dict[str, str]:
    """Describe every command as a page of the documentation, in Markdown, by the page's file."""
    named = [
        (" ".join(filter(None, (PROGRAM, group, command.name))), command)
        for group, commands in ((None, LOCAL_COMMANDS), (VERTEX, VERTEX_COMMANDS))
        for command in commands
    ]
    files = {
        name: f"{name.removeprefix(PROGRAM).strip().replace(' ', '_')}.md" for name, _ in named
    }
    index = [
        "# Commands",
        "",
        "`understudy` is also `python local_runner.py`; `understudy vertex` is also",
        "`python kubeflow_runner.py`. `--help` after any command shows the same as its page.",
        "",
        "| command | what it does |",
        "|---|---|",
        *(f"| [`{name}`]({files[name]}) | {_cell(_sentence(c.summary))} |" for name, c in named),
    ]
    pages = {files[name]: _command_page(name, command) for name, command in named}
    return {"index.md": "\n".join(index) + "\n", **pages}


def _command_page(name: str, command: Command) -> str:
    program = name.removesuffix(f" {command.name}")
    lines = [f"# {name}", "", command.description, "", "```bash"]
    lines += [f"{program} {command.example}", "```", ""]
    only = argparse.ArgumentParser(add_help=False)
    for add in command.options:
        add(only)
    rows = []
    for action in only._actions:  # argparse has no public way to them
        option = ", ".join(action.option_strings) or action.dest
        text = (action.help or "") % {"default": action.default}
        rows.append(f"| `{option}` | {_cell(text)} |")
    if rows:
        lines += ["| option | meaning |", "|---|---|", *rows]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _add_commands(
    parser: argparse.ArgumentParser, commands: Sequence[Command]
) -> "argparse._SubParsersAction[argparse.ArgumentParser]":
    added = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in commands:
        one = added.add_parser(
            command.name,
            help=command.summary,
            description=command.description,
            epilog=f"example: {parser.prog} {command.example}",
        )
        one.set_defaults(**{COMMAND: command})
        for add in command.options:
            add(one)
    return added


def _sentence(summary: str) -> str:
    return f"{summary[0].upper()}{summary[1:]}."
