"""The names of artifact files are written down once."""

import ast
from pathlib import Path

from core import artifact_files

ROOT = Path(__file__).resolve().parents[2]
ROOMS = (
    "components",
    "core",
    "judging",
    "models",
    "pipeline",
    "reports",
    "service_llm",
    "serving",
    "task",
)
NAMES = {
    value
    for key, value in vars(artifact_files).items()
    # A README.md is also the repository's own, and `preset` is a word of many meanings.
    if key.isupper() and key not in ("CARD", "PRESET_FOLDER")
}


def spelled_in(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)} & NAMES


def test_no_room_spells_the_name_of_an_artifact_file_again():
    paths = [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]
    paths += [ROOT / "local_runner.py", ROOT / "kubeflow_runner.py"]
    found = {str(path.relative_to(ROOT)): names for path in paths if (names := spelled_in(path))}
    assert list(found) == ["core/artifact_files.py"], found


def test_a_served_model_is_stored_where_tfx_puts_it():
    from tfx.utils import path_utils

    assert path_utils.serving_model_dir("model") == f"model/{artifact_files.SERVING_FOLDER}"
