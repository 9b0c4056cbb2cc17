"""The command that serves the application."""

import importlib.util
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from core.artifact_files import SERVING_FOLDER
from core.errors import UserError
from core.text import Say
from pipeline.config import load_config
from pipeline.local.output_dir import read_summary
from serving.model.gguf import find_gguf
from serving.model.kept_round import KeptRound

_REPOSITORY = Path(__file__).resolve().parents[2]
_LOG = "space.log"
_APPLICATION = _REPOSITORY / "apps" / "space" / "app.py"


def space(*, preset: str, overrides: Sequence[str], port: int | None, say: Say) -> None:
    """Serve the application with the best local model; this process becomes its server."""
    settings = load_config(preset, overrides)
    output_dir = Path(settings.output_dir)
    best = read_summary(output_dir, preset).best
    if importlib.util.find_spec("gradio") is None:
        raise UserError("Gradio is not installed. Run: pip install '.[serve]'")
    listen = [] if port is None else [f"--port={port}"]
    engine: list[str] = []
    if importlib.util.find_spec("keras_hub") is None:  # an installation that serves only
        engine = [f"--gguf={find_gguf(KeptRound.find(output_dir), output_dir, say).path}"]
    privacy: list[str] = []
    environ = {"PYTHONWARNINGS": "ignore", **os.environ}
    if settings.privacy.redact:  # it hides personal data with task.privacy, as the model learned
        privacy = [f"--privacy={settings.privacy.model_dump_json()}"]
        path = environ.get("PYTHONPATH")
        environ["PYTHONPATH"] = os.pathsep.join([str(_REPOSITORY), *([path] if path else [])])
    # In a process of its own: the application imports nothing else of this repository.
    os.execve(
        sys.executable,
        [
            sys.executable,
            str(_APPLICATION),
            f"--model={best.artifacts.model}/{SERVING_FOLDER}",
            f"--evaluation={best.artifacts.report}",
            f"--title={settings.task.title}",
            f"--description={settings.task.summary}",
            f"--log={output_dir / _LOG}",
            *listen,
            *engine,
            *privacy,
        ],
        environ,
    )
