"""The SBOMs are those of the locks; packages without a hash or a license, and GPL, are found."""

import json

import pytest

from tools.supply_chain import (
    LICENSES,
    PROGRAMS,
    SBOMS,
    Package,
    locks,
    problems,
    read_licenses,
    read_lock,
    sbom,
)

LOCK = """# made by uv
a.B_c[x]==1.0 ; python_version < '4' \\
    --hash=sha256:{} \\
    --hash=sha256:{}
    # via d
d==2.0+cpu \\
    --hash=sha256:{}
e==3
""".format("1" * 64, "0" * 64, "2" * 64)


def test_a_lock_is_read_with_versions_and_hashes():
    assert read_lock(LOCK) == [
        Package("a-b-c", "1.0", ("0" * 64, "1" * 64)),
        Package("d", "2.0+cpu", ("2" * 64,)),
        Package("e", "3", ()),
    ]


@pytest.mark.parametrize("lock", locks(), ids=lambda lock: lock.stem)
def test_the_sboms_in_the_repository_are_those_of_the_locks(lock):
    packages = read_lock(lock.read_text(encoding="utf-8"))
    licenses = read_licenses(LICENSES.read_text(encoding="utf-8"))
    written = (SBOMS / f"{lock.stem}.cdx.json").read_text(encoding="utf-8")
    assert written == sbom(lock.stem, packages, licenses), "run make sbom"
    assert list(problems(packages, licenses)) == []
    document = json.loads(written)
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")
    purls = [component["purl"] for component in document["components"]]
    assert purls == [package.purl for package in packages]
    assert len(set(purls)) == len(purls) > 0


@pytest.mark.parametrize(
    ("terms", "problem"),
    [
        ("GPL-3.0", "under GPL-3.0"),
        ("AGPL-3.0-only", "under AGPL"),
        ("GNU General Public License v2 (GPLv2)", "under GNU"),
        ("", "no known license"),
        ("LGPL-2.1-or-later", None),
        ("GNU Lesser General Public License v2 or later (LGPLv2+)", None),
        ("MIT", None),
    ],
)
def test_gpl_is_refused_where_it_would_link(terms, problem):
    found = list(problems([Package("a", "1", ("0" * 64,))], {"a": terms}))
    assert [problem in line for line in found] == ([True] if problem else [])
    program = next(iter(PROGRAMS))
    assert not list(problems([Package(program, "1", ("0" * 64,))], {program: "GPL-3.0"}))


def test_a_package_without_a_hash_is_refused():
    (found,) = problems([Package("a", "1", ())], {"a": "MIT"})
    assert "a 1 has no hash" in found
