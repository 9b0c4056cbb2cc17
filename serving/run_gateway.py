"""Runs the gateway in this process, together with the tuned models of its presets."""

import asyncio
import shutil
import sys
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path

from starlette.types import ASGIApp

from core.errors import UserError
from core.terminal import write_error
from serving.address import url_of
from serving.chosen_round import read_chosen_round
from serving.gateway.server import bind, make_server, start_listening
from serving.gateway.task import ServedTask
from serving.model.gguf import SERVING_DIR
from serving.model.host import TunedModels
from serving.preset import ServedPreset
from serving.start_text import ready_text


async def run_gateway(presets: Sequence[ServedPreset], port: int) -> None:
    """Start the models, listen, and serve until SIGINT or SIGTERM.

    The port is taken first, so that a taken one is told early; connections are refused until there
    is somebody to answer them.

    Args:
        presets: In the order in which their tasks are matched; the first one says how the gateway
            works.
        port: Port to listen on; 0 picks a free one.

    Raises:
        UserError: A model does not start, or the port is taken.
    """
    settings = presets[0].settings
    listener = bind(settings.host, port)
    url = url_of(settings.host, listener.getsockname()[1])
    models = TunedModels(presets, on_state=_tell, say=_say)
    try:
        state_dir = presets[0].output_dir / SERVING_DIR
        # Both take seconds: the model's server loads its weights meanwhile.
        create_app, tasks = await asyncio.gather(
            asyncio.to_thread(_import_create_app), _load(models, read_chosen_round(state_dir))
        )
        _make(state_dir)
        app = create_app(
            settings,
            tasks,
            host=models,
            state_dir=state_dir,
            # Where `verdict` and `cutover` of each preset look for them.
            capture_folders={
                preset.task.name: preset.settings.capture.folder_in(preset.output_dir / SERVING_DIR)
                for preset in presets
            },
            say=_say,
            on_readiness=lambda problem: _tell_readiness(
                problem,
                # A log holds no prompt, not even one of the coverage dataset.
                ready_text(tasks, url, settings.key_env, shows_prompt=_is_terminal()),
            ),
        )
        start_listening(listener)
        _say("Accepting connections; waiting for the tuned model's first answer.")
        await make_server(app).serve_until_signal(listener)
    finally:
        await models.close()
        listener.close()


def _make(state_dir: Path) -> None:
    try:
        state_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"The gateway cannot create its folder {state_dir} ({error.strerror}). Set output_dir "
            "to a folder that it can write to."
        ) from error


async def _load(models: TunedModels, chosen: int | None) -> Sequence[ServedTask]:
    """Start the models of the round that was chosen, or, where it is gone, of the best one."""
    if chosen is None:
        return await models.load(None)
    try:
        tasks = await models.load(chosen)
    except UserError as error:
        _say(f"Round {chosen}, which `serve reload` chose, cannot be loaded: {error}")
        return await models.load(None)
    _say(f"Round {chosen} was chosen by `serve reload`; without --round it takes the best one.")
    return tasks


def _import_create_app() -> Callable[..., ASGIApp]:
    from serving.gateway.app import create_app

    return create_app


def _tell(task: str, ready: bool, reason: str) -> None:
    # "Up" and not "ready", which the gateway says of the whole.
    state = "is up" if ready else "does not answer"
    _say(f"The server of {task}'s model {state}: {reason}.")


def _tell_readiness(problem: str, ready: str) -> None:
    if problem:
        _say(f"Not ready: {problem}")
    else:
        write_error(ready)  # as it is: its command is to be pasted


def _is_terminal() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()


def _say(text: str) -> None:
    if _is_terminal():  # a log keeps each message on a line
        width = shutil.get_terminal_size().columns
        text = textwrap.fill(text, width, break_long_words=False, break_on_hyphens=False)
    write_error(text)
