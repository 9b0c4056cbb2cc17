"""The Dockerfile: what it copies exists, and it is as the lock and the settings say."""

import fnmatch
import json
import os
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from pipeline.vertex.settings import VertexSettings

ROOT = Path(__file__).parents[3]
TARGETS = ("pipeline", "cuda", "dataflow")
GATEWAY_LOCKS = ("gateway", "model")  # LOCK, of the gateway's image


def _instructions():
    """(stage, instruction, words) of each instruction, with continued lines joined."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    lines = re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ").splitlines()
    stage = ""
    for line in filter(None, (line.strip() for line in lines)):
        keyword, _, rest = line.partition(" ")
        words = rest.split()
        if keyword == "FROM":
            stage = words[-1]
        yield stage, keyword, words


def _instructions_of(target):
    """The instructions of a stage and of those it is made from."""
    instructions = list(_instructions())
    parents = {words[-1]: words[0] for _, keyword, words in instructions if keyword == "FROM"}
    stages = []
    while target in parents:
        stages.insert(0, target)
        target = parents[target]
    return [item for stage in stages for item in instructions if item[0] == stage]


def _sources():
    """What is copied from the build context."""
    for _, keyword, words in _instructions():
        if keyword in ("COPY", "ADD") and not words[0].startswith("--from"):
            for word in words[:-1]:
                yield from (word.replace("${LOCK}", lock) for lock in GATEWAY_LOCKS)


def _is_ignored(path):
    """Whether .dockerignore keeps a path out; the last pattern that fits decides."""
    ignored = False
    for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines():
        pattern = line.strip().lstrip("!")
        if not pattern or pattern.startswith("#"):
            continue
        prefixes = [str(p) for p in (Path(path), *Path(path).parents)]
        if any(fnmatch.fnmatch(prefix, pattern.removeprefix("**/")) for prefix in prefixes):
            ignored = not line.startswith("!")
    return ignored


def _tracked_files(path):
    if not (ROOT / ".git").exists():  # an exported tree: all of it was in the repository
        found = (file for file in (ROOT / path).rglob("*") if "__pycache__" not in file.parts)
        return [path] if (ROOT / path).is_file() else [str(f.relative_to(ROOT)) for f in found]
    listed = subprocess.run(
        ["git", "ls-files", "--", path], cwd=ROOT, text=True, capture_output=True, check=True
    )
    return listed.stdout.split()


@pytest.mark.parametrize("source", sorted(set(_sources())))
def test_everything_that_is_copied_is_in_the_repository_and_in_the_build_context(source):
    assert (ROOT / source).exists()
    files = _tracked_files(source)
    assert files, f"git does not know {source}"
    assert not [file for file in files if _is_ignored(file)]


@pytest.mark.parametrize("path", [".git/config", ".venv/bin/python", "output/x", "tests/a.py"])
def test_what_is_not_copied_stays_out_of_the_build_context(path):
    assert _is_ignored(path)


def test_all_that_a_task_imports_or_reads_is_copied():
    sources = set(_sources())
    wanted = {"components", "models", "pipeline", "apps/space", "data/coverage"}
    assert wanted <= sources


def _installed_alone(lock, folder):
    """A folder with the packages of a lock and no others, linked to those installed here."""
    folder.mkdir()
    text = (ROOT / "requirements" / f"{lock}.txt").read_text(encoding="utf-8")
    for name, rest in re.findall(r"^([\w.-]+)==(.*)", text, re.MULTILINE):
        try:
            files = metadata.distribution(name).files or []
        except metadata.PackageNotFoundError:
            assert ";" in rest, f"{name} is not installed here"  # of another system
            continue
        for part in {file.parts[0] for file in files} - {"..", "__pycache__"}:
            if not (folder / part).exists():
                (folder / part).symlink_to(
                    files[0].locate().parents[len(files[0].parts) - 1] / part
                )
    return folder


def test_the_gateways_image_starts_with_what_it_copies_and_its_lock_alone(tmp_path):
    app, packages = tmp_path / "app", _installed_alone("gateway", tmp_path / "packages")
    instructions = _instructions_of("gateway")
    for _, keyword, words in instructions:
        if keyword == "COPY" and not words[0].startswith("--from"):
            *sources, target = words
            for source in sources:
                kept = shutil.ignore_patterns("__pycache__")
                if (ROOT / source).is_dir():
                    shutil.copytree(ROOT / source, app / target, ignore=kept)
                else:
                    shutil.copy(ROOT / source, app / target)
    [entry] = [" ".join(words) for _, keyword, words in instructions if keyword == "ENTRYPOINT"]
    variables = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{app}:{packages}"}

    def run(*arguments):
        # Without -S Python would find all that is installed here.
        command = [sys.executable, "-S", *arguments]
        done = subprocess.run(
            command, cwd=app, env=variables, text=True, capture_output=True, check=False
        )
        return done.returncode, done.stdout + done.stderr

    python, *program = json.loads(entry)
    assert python == "python"
    url = "serving.model.url=http://127.0.0.1:9/v1"
    status, said = run(*program, "--preset", "gemini", "--set", url, "--port", "0")
    assert (status, "does not list its models" in said) == (2, True), said
    # What a gateway loads once its model answers, what is not there, and what Kubernetes asks.
    status, said = run(
        "-c",
        "import importlib.util, serving.gateway.app, serving.run_gateway, serving.drill.run\n"
        "others = ('tensorflow', 'numpy', 'xllamacpp', 'tests')\n"
        "print([name for name in others if importlib.util.find_spec(name)])",
    )
    assert (status, said) == (0, "[]\n")
    status, said = run("-m", "serving.probe", "9")
    assert (status, "not ready" in said) == (1, True), said


def test_the_tasks_run_as_a_user_that_is_not_root():
    for target in ("pipeline", "cuda"):
        users = [words[0] for _, keyword, words in _instructions_of(target) if keyword == "USER"]
        assert users, target
        assert users[-1] == "${RUN_AS}", target
        # An argument from before the first stage is empty in a stage that does not name it.
        own = [(keyword, words) for stage, keyword, words in _instructions() if stage == target]
        assert ("ARG", ["RUN_AS"]) in own[: own.index(("USER", ["${RUN_AS}"]))], target
    [default] = [words for _, keyword, words in _instructions() if words[0].startswith("RUN_AS=")]
    assert default == ["RUN_AS=1000"]


def test_the_code_is_where_the_compiled_job_looks_for_it():
    folder = VertexSettings.model_fields["repository_dir"].default
    for target in TARGETS:
        instructions = _instructions_of(target)
        folders = [words[0] for _, keyword, words in instructions if keyword == "WORKDIR"]
        assert folders[-1] == folder, target
        variables = [
            word for _, keyword, words in instructions if keyword == "ENV" for word in words
        ]
        assert f"PYTHONPATH={folder}" in variables, target


def test_packages_are_installed_by_their_hashes():
    for _, keyword, words in _instructions():
        line = " ".join(words)
        if keyword != "RUN" or "pip install" not in line:
            continue
        hashes = "--require-hashes" in line or "--constraints requirements/tfx-1.21.txt" in line
        assert hashes, line
    for lock in ("requirements/tfx-1.21.txt", "requirements/uv.txt", "deploy/cuda.txt"):
        text = (ROOT / lock).read_text(encoding="utf-8")
        pinned = re.findall(r"^[\w.-]+==\S+.*\\\n\s+--hash=sha256:", text, re.MULTILINE)
        assert len(pinned) == len(re.findall(r"^[\w.-]+\S* ?[=@]", text, re.MULTILINE)), lock


def test_the_worker_of_dataflow_has_the_beam_of_the_lock():
    lock = (ROOT / "requirements/tfx-1.21.txt").read_text(encoding="utf-8")
    [beam] = re.findall(r"^apache-beam==(\S+)", lock, re.MULTILINE)
    images = {
        name: value
        for _, keyword, words in _instructions()
        if keyword == "ARG"
        for name, _, value in [words[0].partition("=")]
    }
    python = re.match(r"python:(3\.\d+)", images["PYTHON_IMAGE"])[1]
    assert images["BEAM_IMAGE"] == f"apache/beam_python{python}_sdk:{beam}"


def test_the_boot_program_of_beam_finds_beam_in_the_image(tmp_path):
    """What sdks/python/container/boot.go of Beam does before a worker starts, since 2.44.

    It makes a virtual environment unless a variable says not to, and asks pip for the version.
    """
    pytest.importorskip("ensurepip", reason="Debian's Python has it in python3-venv")
    instructions = _instructions_of("dataflow")
    folder = tmp_path / "venv"
    # The image's folder: made as in the Dockerfile, with this environment's Beam in it.
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    [packages] = (folder / "lib").glob("python*/site-packages")
    [found] = [d for d in metadata.distributions() if d.metadata["Name"] == "apache-beam"]
    beam = Path(found.locate_file(""))
    for part in beam.glob("apache_beam-*.dist-info"):
        (packages / part.name).symlink_to(part)
    for _, keyword, words in instructions:
        if keyword == "RUN" and words[0] == "/opt/venv/bin/python":
            subprocess.run([folder / "bin" / "python", *words[1:]], check=True, capture_output=True)
    variables = dict(
        word.split("=", 1)
        for _, keyword, words in instructions
        if keyword == "ENV"
        for word in words
    )
    python = folder / "bin" / "python"
    if variables.get("RUN_PYTHON_SDK_IN_DEFAULT_ENVIRONMENT", "") == "":
        inner = tmp_path / "inner"
        subprocess.run([python, "-m", "venv", "--system-site-packages", inner], check=True)
        python = inner / "bin" / "python"
    shown = subprocess.run(
        [python, "-m", "pip", "show", "apache-beam"], text=True, capture_output=True, check=True
    )
    assert f"Version: {found.version}" in shown.stdout


def test_the_images_hold_llama_cpp_which_checks_a_gguf_file():
    installed = [" ".join(words) for _, keyword, words in _instructions() if keyword == "RUN"]
    [packages] = [line for line in installed if "requirements/tfx-1.21.in" in line]
    assert "xllamacpp" in packages.split()
    for target in (*TARGETS, "gateway"):  # the wheel brings no OpenMP
        lines = [" ".join(words) for _, _, words in _instructions_of(target)]
        assert any("--no-install-recommends libgomp1" in line for line in lines), target


def test_the_base_is_one_image_and_not_whatever_a_tag_means_today():
    [base] = [
        word.partition("=")[2]
        for _, keyword, words in _instructions()
        for word in words
        if keyword == "ARG" and word.startswith("PYTHON_IMAGE=")
    ]
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-trixie@sha256:[0-9a-f]{64}", base)


def test_byte_code_is_the_same_in_every_build():
    commands = {keyword: [] for keyword in ("RUN", "ENV")}
    for _, keyword, words in _instructions():
        commands.setdefault(keyword, []).append(" ".join(words))
    assert any("PYC_INVALIDATION_MODE=UNCHECKED_HASH" in line for line in commands["ENV"])
    [compiling] = [line for line in commands["RUN"] if "compileall" in line]
    assert "--invalidation-mode unchecked-hash" in compiling


def test_the_image_for_accelerators_asks_for_the_driver():
    # https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/docker-specialized.html
    variables = [
        word for _, keyword, words in _instructions_of("cuda") if keyword == "ENV" for word in words
    ]
    assert {"NVIDIA_VISIBLE_DEVICES=all", "NVIDIA_DRIVER_CAPABILITIES=compute,utility"} <= set(
        variables
    )


def test_the_image_for_accelerators_holds_the_plugin_of_the_locks_jax():
    lock = (ROOT / "requirements" / "tfx-1.21.txt").read_text()
    [jax] = re.findall(r"^jax==(\S+) ; python_full_version >= '3\.12'", lock, re.MULTILINE)
    cuda = (ROOT / "deploy" / "cuda.txt").read_text()
    found = dict(re.findall(r"^(jax\S+)==(\S+)", cuda, re.MULTILINE))
    assert found == {"jax-cuda12-pjrt": jax, "jax-cuda12-plugin": jax}


def test_hadolint_has_nothing_to_say():
    hadolint = Path(sys.executable).with_name("hadolint")
    subprocess.run([hadolint, "Dockerfile"], cwd=ROOT, check=True)
