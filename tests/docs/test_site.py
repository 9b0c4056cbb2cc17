"""The documentation builds, its links lead somewhere, and it tells nothing of where it was made."""

import argparse
import itertools
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml

from pipeline.cli.commands import LOCAL_COMMANDS, VERTEX_COMMANDS
from tests.browser import SCHEMES, WIDTHS
from tests.docs.guides import REPOSITORY

DOCS = REPOSITORY / "docs"
_ELSEWHERE = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src"}
_LINK = re.compile(r"!?\[[^]]*\]\(([^)\s]+)[^)]*\)")
_CODE = re.compile(r"^(```|~~~).*?^\1|`[^`\n]*`", re.DOTALL | re.MULTILINE)
VOID = {"meta", "br", "hr", "input", "link", "img", "source", "col", "wbr"}
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


def test_run_it_comes_before_change_it(site):
    parts = yaml.safe_load((REPOSITORY / "mkdocs.yml").read_text("utf-8").partition("\nnav:")[2])
    titles = [next(iter(part)) for part in parts if isinstance(part, dict)]
    assert titles[:3] == ["Overview", "Run it", "Change it"]
    assert next(iter(parts[1].values()))[0] == "tutorial.md", "what a newcomer reads first"
    menu = (site / "index.html").read_text(encoding="utf-8")
    shown = [title for title in re.findall(r">\s*([A-Z][a-z ]+)\s*<", menu) if title in titles]
    assert shown.index("Run it") < shown.index("Change it")


@pytest.mark.parametrize("width", [1280, 390])
def test_the_site_is_searched_from_a_folder(site, browser, width):
    browser.open(site.joinpath("architecture.html").as_uri(), width)
    assert browser.overflow() == 0
    browser.wait_for("document.querySelector('img[src$=\"dag.svg\"]').complete")
    hidden = browser.run(
        "const box = document.querySelector('p:has(img[src$=\"dag.svg\"])');"
        "return box.scrollWidth - box.clientWidth"
    )
    assert (hidden > 0) == (width == 390), "the diagram scrolls on a phone alone"
    seen = browser.run(
        "const image = document.querySelector('img[src$=\"dag.svg\"]').getBoundingClientRect();"
        "return image.right <= document.querySelector('article').getBoundingClientRect().right + 1"
    )
    assert seen == (width == 1280)
    browser.run("document.querySelector('[data-md-toggle=search]').click()")
    browser.find_element("css selector", ".md-search__input").send_keys("breaker")
    found = "[...document.querySelectorAll('.md-search-result__link')].map(link => link.href)"
    browser.wait_for(f"{found}.some(link => link.includes('takeover.html'))")
    assert not browser.complaints()
    assert not [url for url in browser.requested() if url.startswith("http")]


def test_without_a_repository_no_page_has_a_button_to_one(site):
    button = re.compile(
        r'class="md-(?:source|content__button)\b|href="https://(?:colab\.research\.google\.com'
        r'|console\.cloud\.google\.com/vertex-ai/workbench|github\.com/[^/"]+/understudy)'
    )
    assert not [page for page in site.rglob("*.html") if button.search(page.read_text("utf-8"))]


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


# Those whose form others have: of commands, decisions and notebooks one is enough.
_GUIDES = [
    *(path.relative_to(DOCS).with_suffix("").as_posix() for path in sorted(DOCS.glob("*.md"))),
    *(f"extend/{path.stem}" for path in sorted(DOCS.glob("extend/*.md"))),
    "commands/index", "commands/run", "decisions/index", "notebooks/05_full_pipeline",
]  # fmt: skip
_VIEWS = list(itertools.product(WIDTHS, SCHEMES))
_IN_ALL_VIEWS = ("index", "architecture")


@pytest.mark.parametrize("name", _GUIDES)
def test_axe_finds_nothing(site, browser, name):
    """The other pages in one view each, another one from page to page."""
    page = site.joinpath(f"{name}.html").as_uri()
    if name in _IN_ALL_VIEWS:
        assert browser.audit(page) == []
        return
    browser.open(page, *_VIEWS[_GUIDES.index(name) % len(_VIEWS)])
    assert browser.violations() == []
    assert browser.overflow() == 0


class Outline(HTMLParser):
    """What axe finds fault with in pages of text: headings, empty headers, and bare links."""

    def __init__(self):
        super().__init__()
        self.faults, self._open, self._level, self._header = [], [], 0, None

    def handle_starttag(self, tag, attributes):
        if re.fullmatch("h[1-6]", tag) and "article" in self._open:
            level = int(tag[1])
            if level > self._level + 1:
                self.faults.append(f"{tag} after h{self._level}")
            self._level = level
        if tag == "th":
            self._header = ""
        if tag == "a" and self._open[-1:] == ["article"] and dict(attributes).get("href"):
            self.faults.append(f"a link in no paragraph: {dict(attributes)['href']}")
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        if tag == "th" and not self._header.strip():
            self.faults.append("an empty header of a table")
        if tag in self._open:
            while self._open.pop() != tag:
                pass

    def handle_data(self, data):
        if self._header is not None:
            self._header += data


def test_every_page_has_an_outline_and_named_columns(site):
    found = {}
    for path in sorted(site.rglob("*.html")):
        outline = Outline()
        outline.feed(path.read_text(encoding="utf-8"))
        if outline.faults and path.name != "404.html":
            found[path.relative_to(site).as_posix()] = outline.faults
    assert found == {}


_PEERS = ("LlamaDuo", "distilabel with PEFT", "Kiln", "hosted distillation (Gemini)")


@pytest.mark.parametrize("name", ["README.md", "docs/alternatives.md"])
def test_every_cell_about_a_peer_links_to_its_source_and_the_day_is_said(name):
    text = (REPOSITORY / name).read_text(encoding="utf-8")
    before, _, rest = text.partition("| Feature |")
    lines = (f"| Feature |{rest}").partition("\n\n")[0].splitlines()
    table = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert len(table[0]) == 2 + len(_PEERS)
    if name == "README.md":
        assert tuple(table[0][2:]) == _PEERS
    sources = dict(re.findall(r"^\[([^]]+)\]: (\S+)$", text, re.MULTILINE))
    assert len(table) >= 2 + 7
    for feature, _, *cells in table[2:]:
        for cell in cells:
            linked = re.findall(r"\[[^]]+\]\[([^]]+)\]", cell)
            assert linked, f"{feature}: {cell}"
            assert all(sources[key].startswith("https://") for key in linked)
    beside = " ".join((before[-400:] + rest.partition("\n\n")[2][:400]).split())
    assert re.search(r"read on \d{1,2} [A-Z][a-z]+ 20\d\d", beside)
    pinned = [url for url in sources.values() if url.startswith("https://github.com/")
              and "/blob/" in url]  # fmt: skip
    assert all(re.search(r"/blob/[0-9a-f]{40}/", url) for url in pinned), "a version that stays"


def test_every_table_of_the_readme_names_its_first_column():
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    assert not re.findall(r"^\|\s*\|.*\n\|-", text, re.MULTILINE)
