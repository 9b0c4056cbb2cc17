"""What is installed for serving alone: little, on four platforms, and each client apart."""

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import distributions
from pathlib import Path

import pytest

from tests.environments import install, run

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "requirements" / "serve.txt"
MODEL_LOCK = ROOT / "requirements" / "model.txt"
CLIENTS = sorted((ROOT / "requirements" / "clients").glob("*.in"))
GATEWAY_LOCK = ROOT / "requirements" / "gateway.txt"
NOT_OF_A_GATEWAY = ("numpy", "xllamacpp")
PACKAGES = {  # of modules with another name
    "google": "google-auth", "phonenumbers": "phonenumberslite", "stdnum": "python-stdnum",
    "yaml": "pyyaml",
}  # fmt: skip
# Of other installations, or used where they are there: the last two unpack answers.
BESIDE_A_GATEWAY = ("numpy", "xllamacpp", "presidio_analyzer", "pyarrow", "sklearn", "tfx",
                    "brotli", "zstandard")  # fmt: skip
HEAVY = ("tensorflow", "tfx", "keras", "torch", "apache-beam", "pandas")


def _names(lock):
    lines = lock.read_text(encoding="utf-8").splitlines()
    return {line.partition("==")[0] for line in lines if "==" in line and not line.startswith(" ")}


def _wanted(dependencies):
    return {re.split(r"[;<>\[]", text)[0].strip() for text in dependencies}


def _megabytes(packages):
    """Size of what was installed, without the bytecode that Python adds."""
    files = [file for each in distributions(path=[str(packages)]) for file in each.files or ()]
    kept = [file.locate() for file in files if file.suffix != ".pyc"]
    return sum(file.stat().st_size for file in kept if file.is_file()) / 1e6


def _documented(command):
    """The megabytes that the page says of an installation."""
    page = (ROOT / "docs" / "takeover.md").read_text(encoding="utf-8")
    return int(re.search(rf"\| `{re.escape(command)}` \| (\d+) MB", page)[1])


def test_the_serving_lock_holds_what_the_project_names_and_nothing_heavy():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    base, extras = project["dependencies"], project["optional-dependencies"]
    assert _wanted(base) <= _names(GATEWAY_LOCK)
    assert _wanted([*base, *extras["model"]]) <= _names(MODEL_LOCK)
    assert "understudy[model]" in extras["serve"]
    assert _wanted([*base, *extras["model"], *extras["serve"]]) <= {*_names(LOCK), "understudy"}
    assert not [name for name in _names(MODEL_LOCK) if name.startswith((*HEAVY, "gradio"))]
    # What draws tables in the Space, which `.[serve]` holds, too.
    assert [name for name in _names(LOCK) if name.startswith(HEAVY)] == ["pandas"]
    assert not [name for name in _names(GATEWAY_LOCK) if name.startswith(NOT_OF_A_GATEWAY)]


def test_what_a_gateway_imports_when_it_needs_it_is_installed_with_it():
    """Imports inside functions, too: one that is missing would fail in an outage."""
    modules = set()
    for room in ("core", "service_llm", "serving", "task"):
        for file in (ROOT / room).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Import):
                    modules |= {alias.name.partition(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    modules.add(node.module.partition(".")[0])
    rooms = {folder.name for folder in ROOT.iterdir() if folder.is_dir()}
    foreign = modules - rooms - set(sys.stdlib_module_names) - set(BESIDE_A_GATEWAY)
    assert {"aiohttp", "phonenumbers", "stdnum"} <= foreign
    locked = _names(GATEWAY_LOCK)
    packages = {PACKAGES.get(name, name.replace("_", "-")) for name in foreign}
    assert not packages - locked


def test_the_pipeline_extra_repeats_nothing_of_the_base():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert not {*project["dependencies"]} & {*project["optional-dependencies"]["pipeline"]}


def test_every_client_has_its_lock():
    assert [client.stem for client in CLIENTS] == ["google-genai-2", "google-genai-3", "openai"]
    for client in CLIENTS:
        name = client.stem.rstrip("-0123456789")
        assert name in _names(client.with_suffix(".txt"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("platform", "has_llama_cpp"),
    [
        ("x86_64-manylinux_2_28", True),
        ("aarch64-manylinux_2_28", True),
        ("aarch64-apple-darwin", True),
        ("x86_64-apple-darwin", False),
    ],
)
@pytest.mark.parametrize("python", ["3.11", "3.13"])
def test_the_serving_lock_has_wheels_for(platform, has_llama_cpp, python, tmp_path):
    command = [
        *(sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--only-binary", ":all:"),
        *("--python-platform", platform, "--python-version", python),
        *(str(LOCK), "--output-file", str(tmp_path / "resolved.txt")),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    resolved = _names(tmp_path / "resolved.txt")
    assert ("xllamacpp" in resolved) == has_llama_cpp
    assert {"aiohttp", "cryptography", "sentencepiece", "gradio"} <= resolved


def test_macos_on_intel_processors_gets_versions_that_have_wheels_for_it():
    marker = "platform_machine == 'x86_64' and sys_platform == 'darwin'"
    for lock in (GATEWAY_LOCK, MODEL_LOCK, LOCK):
        forked = re.findall(rf"^(\S+)==\S+ ; {marker} ", lock.read_text("utf-8"), re.MULTILINE)
        assert forked == ["cryptography", "sentencepiece"], lock.name


@pytest.mark.slow
@pytest.mark.parametrize(("lock", "extra"), [(MODEL_LOCK, "model"), (LOCK, "serve")])
def test_serving_starts_where_nothing_else_is_installed(tmp_path, lock, extra):
    programs = install(tmp_path, lock)
    packages = next((programs.parent / "lib").glob("python*/site-packages"))
    heavy = [p for name in HEAVY for p in packages.glob(f"{name.replace('-', '_')}*")]
    assert {p.name.partition("-")[0] for p in heavy} <= {"pandas", "pandas.libs"}
    assert bool(heavy) == (extra == "serve")
    assert _megabytes(packages) == pytest.approx(_documented(f"pip install .[{extra}]"), rel=0.1)
    status, said = run(tmp_path, str(programs / "understudy"), "serve", "--preset", "offline")
    assert status == 2
    assert "so no tuned model to serve" in said
    redacted = (
        "from task.privacy import PrivacySettings, redact\n"
        "print(redact(['call +49 30 901820'], PrivacySettings(redact=True)).texts)"
    )
    assert "[PHONE_1]" in run(tmp_path, str(programs / "python"), "-c", redacted)[1]


@pytest.mark.slow
def test_a_gateway_alone_is_small_and_says_what_it_lacks(tmp_path):
    programs = install(tmp_path, GATEWAY_LOCK)
    packages = next((programs.parent / "lib").glob("python*/site-packages"))
    assert _megabytes(packages) == pytest.approx(_documented("pip install ."), rel=0.1)
    understudy = str(programs / "understudy")
    for command, lacks in (
        (("verdict", "--preset", "offline"), "needs the package numpy"),
        (("serve", "--preset", "gemini"), "xllamacpp"),
    ):
        status, said = run(tmp_path, understudy, *command)
        assert status == 2, said
        assert lacks in said
        assert ".[model]" in said
    url = "serving.model.url=http://127.0.0.1:9/v1"
    status, said = run(tmp_path, understudy, "serve", "--preset", "gemini", "--set", url)
    assert status == 2
    assert "does not list its models" in said
