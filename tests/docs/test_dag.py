"""The diagram in the documentation is the pipeline of the code."""

import pytest

from docs import dag
from tests.docs.guides import REPOSITORY


@pytest.fixture(scope="module")
def graph():
    return dag.read_graph()


def test_the_committed_diagram_is_what_the_code_gives(graph):
    source = dag.dot_source(graph)
    committed = (REPOSITORY / "docs" / "images" / "dag.svg").read_text(encoding="utf-8")
    assert dag.source_mark(source) in committed, "the pipeline has changed: run `make docs`"
    for node in graph.nodes:
        assert f"<title>{node.id}</title>" in committed
    for start, end in (*graph.edges, *graph.order):
        assert f"<title>{start}&#45;&gt;{end}</title>" in committed


def test_it_shows_what_is_passed_on(graph):
    nodes = {node.id: node for node in graph.nodes}
    assert ("Trainer", "ResponseGen") in graph.edges
    assert {("LLMEvaluator", "Exporter"), ("Exporter", "HFPusher")} <= set(graph.edges)
    assert graph.order == (
        ("SynthDataGen", "BaseResponseGen"),
        ("SynthDataGen", "FewShotResponseGen"),
    )
    assert nodes["SynthDataGen"].takes == ("history_uri", "report_uri")
    assert nodes["LLMEvaluator"].takes == ("report_uri",)
    assert {node.id for node in graph.nodes if node.asks} == {"SynthDataGen", "LLMEvaluator"}
    assert nodes["Trainer"].takes == ("warm_start_uri",)
    assert not nodes["Transform"].is_custom
    assert nodes["HFPusher"].is_custom


_TEXTS = """
const luminance = (color) => {
  const parts = color.match(/\\d+/g).map((v) => v / 255)
    .map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
  return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
};
const fill = (element) => luminance(getComputedStyle(element).fill);
const page = document.querySelector('#graph0 > polygon');
return [...document.querySelectorAll('text')].map((text) => {
  const box = text.closest('.node')?.querySelector('path, polygon') ?? page;
  const [low, high] = [fill(text), fill(box)].sort((a, b) => a - b);
  return [text.textContent, (high + 0.05) / (low + 0.05)];
});
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_can_be_read_light_and_dark(browser, scheme):
    browser.open(dag.DIAGRAM.as_uri(), 1280, scheme)
    texts = browser.run(_TEXTS)
    assert len(texts) > 20
    assert [text for text, contrast in texts if contrast < 4.5] == []
    dark = browser.run("return getComputedStyle(document.querySelector('#graph0 > polygon')).fill")
    assert (dark == "rgb(255, 255, 255)") == (scheme == "light")
