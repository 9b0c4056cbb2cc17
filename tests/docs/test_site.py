"""The documentation builds, its links lead somewhere, and it tells nothing of where it was made."""

import argparse
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from pipeline.cli.commands import LOCAL_COMMANDS, VERTEX_COMMANDS
from tests.docs.guides import REPOSITORY

DOCS = REPOSITORY / "docs"
_ELSEWHERE = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src"}
_LINK = re.compile(r"!?\[[^]]*\]\(([^)\s]+)[^)]*\)")
_CODE = re.compile(r"^(```|~~~).*?^\1|`[^`\n]*`", re.DOTALL | re.MULTILINE)
_PRIVATE = re.compile(r"(?:/root/|/home/|/work/|/tmp/|/mnt/|/Users/)\S*")


def markdown_files():
    """All pages of the repository, as git would list them."""
    skipped = {"output", "node_modules"}
    return sorted(
        path
        for path in REPOSITORY.rglob("*.md")
        if not any(
            part.startswith(".") or part in skipped for part in path.parts[len(REPOSITORY.parts) :]
        )
    )


def build(target, docs=None, config=REPOSITORY / "mkdocs.yml", **environment):
    command = [sys.executable, "-m", "mkdocs", "build", "--strict"]
    command += ["--config-file", str(config), "--site-dir", str(target)]
    variables = {**os.environ, "NO_MKDOCS_2_WARNING": "1", **environment}
    return subprocess.run(
        command, cwd=REPOSITORY, env=variables, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    target = tmp_path_factory.mktemp("site")
    done = build(target)
    assert done.returncode == 0, done.stderr
    return target


class Loaded(HTMLParser):
    """Collects what a browser loads of its own accord."""

    def __init__(self):
        super().__init__()
        self.addresses = []

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        if tag == "link" and values.get("rel") in ("canonical", "alternate", "next", "prev"):
            return
        if address := values.get(_ELSEWHERE.get(tag, "")):
            self.addresses.append(address)


def test_every_page_is_built_and_loads_nothing_from_elsewhere(site):
    built = {path.relative_to(site).with_suffix("").as_posix() for path in site.rglob("*.html")}
    pages = {path.relative_to(DOCS).with_suffix("").as_posix() for path in DOCS.rglob("*.md")}
    assert pages <= built
    for path in site.rglob("*.html"):
        parser = Loaded()
        parser.feed(path.read_text(encoding="utf-8"))
        assert parser.addresses
        for address in parser.addresses:
            assert "//" not in address, f"{path.name} loads {address}"
            file = (path.parent / address.partition("?")[0].partition("#")[0]).resolve()
            if not address.startswith("/"):  # 404.html alone, which is served for any address
                assert file.exists(), f"{path.name} loads {address}, which is not there"
    assert not list(site.rglob("*.py")), "the scripts beside the pages are no pages"


def test_decisions_are_found(site):
    index = (site / "decisions" / "index.html").read_text(encoding="utf-8")
    for path in DOCS.glob("decisions/[0-9]*.md"):
        assert f'href="{path.stem}.html"' in index


def test_every_command_has_a_page_with_its_options_and_is_in_the_navigation(site):
    index = (site / "commands" / "index.html").read_text(encoding="utf-8")
    for group, commands in (("", LOCAL_COMMANDS), ("vertex_", VERTEX_COMMANDS)):
        for command in commands:
            name = f"{group}{command.name}.html"
            assert index.count(f'href="{name}"') >= 2, "in the table and in the navigation"
            page = (site / "commands" / name).read_text(encoding="utf-8")
            only = argparse.ArgumentParser(add_help=False)
            for add in command.options:
                add(only)
            for action in only._actions:
                assert (", ".join(action.option_strings) or action.dest) in page


@pytest.mark.parametrize("width", [1280, 390])
def test_the_site_is_searched_from_a_folder(site, browser, width):
    browser.open(site.joinpath("architecture.html").as_uri(), width)
    assert browser.overflow() == 0
    browser.run("document.querySelector('[data-md-toggle=search]').click()")
    browser.find_element("css selector", ".md-search__input").send_keys("breaker")
    found = "[...document.querySelectorAll('.md-search-result__link')].map(link => link.href)"
    browser.wait_for(f"{found}.some(link => link.includes('takeover.html'))")
    assert not browser.complaints()
    assert not [url for url in browser.requested() if url.startswith("http")]


def test_with_a_repository_the_names_of_files_are_links(tmp_path, site):
    done = build(tmp_path, REPOSITORY_URL="https://github.com/you/fork/")
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "architecture.html").read_text(encoding="utf-8")
    assert 'href="https://github.com/you/fork/blob/main/pipeline/rounds.py"' in page
    assert "blob/main" not in (site / "architecture.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("[a](no_such_page.md)", "no_such_page.md"),
        ("[a](../pipeline/no_such_file.py)", r"no_such_file\.py, which does not exist"),
        ("[a](other.md#no-such-part)", "no-such-part"),
    ],
    ids=["page", "file of the repository", "anchor"],
)
def test_a_broken_link_fails_the_build(line, complaint, tmp_path):
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "index.md").write_text(f"# A\n\n{line}\n")
    (docs / "other.md").write_text("# B\n")
    text = (REPOSITORY / "mkdocs.yml").read_text(encoding="utf-8")
    text = text[: text.index("\nnav:\n")].replace("docs/hooks.py", str(DOCS / "hooks.py"))
    (tmp_path / "mkdocs.yml").write_text(f"{text}\nnav:\n  - index.md\n  - other.md\n")
    done = build(tmp_path / "site", config=tmp_path / "mkdocs.yml")
    assert done.returncode != 0
    assert re.search(complaint, done.stderr)


@pytest.mark.parametrize(
    "path", markdown_files(), ids=lambda path: str(path.relative_to(REPOSITORY))
)
def test_links_to_files_lead_somewhere(path):
    text = _CODE.sub("", path.read_text(encoding="utf-8"))
    for target in _LINK.findall(text):
        if not re.match(r"[a-z]+:|#|\{\{", target):
            file = Path(os.path.normpath(path.parent / target.partition("#")[0]))
            assert file.exists(), f"{target} is not there"
            assert file.is_relative_to(REPOSITORY)


def test_no_page_tells_where_it_was_made():
    for path in markdown_files():
        found = _PRIVATE.findall(path.read_text(encoding="utf-8"))
        assert not found, f"{path.relative_to(REPOSITORY)}: {found}"


def test_every_word_of_the_glossary_is_in_the_code_that_it_names():
    text = (DOCS / "glossary.md").read_text(encoding="utf-8")
    terms = re.findall(r"^\| \*\*([^*]+)\*\*", text, re.MULTILINE)
    assert terms == sorted(terms, key=str.lower)
    named = re.findall(r"\[`([^`]+)`\]\(([^)]+)\)", text)
    assert len(named) >= len(terms) > 40
    for name, file in named:
        assert re.search(rf"\b{name}\b", (DOCS / file).read_text(encoding="utf-8")), (name, file)


_AUDITED = ("index", "architecture", "commands/index", "commands/run", "notebooks/05_full_pipeline")


@pytest.mark.parametrize("name", _AUDITED)
def test_axe_finds_nothing(site, browser, name):
    assert browser.audit(site.joinpath(f"{name}.html").as_uri()) == []
