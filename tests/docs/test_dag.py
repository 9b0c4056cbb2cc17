"""The diagram in the documentation is the pipeline of the code."""

import re
from xml.etree import ElementTree

import pytest

from docs import dag
from docs.layout import layered
from tests.docs.guides import REPOSITORY

SIZES = {"width": 10.0, "height": 4.0, "gap": 2.0, "layer_gap": 3.0}


@pytest.fixture(scope="module")
def graph():
    return dag.read_graph()


def test_the_committed_diagram_is_what_the_code_gives(graph):
    committed = (REPOSITORY / "docs" / "images" / "dag.svg").read_text(encoding="utf-8")
    assert committed == dag.draw(graph), "the pipeline has changed: run `make docs`, and look at it"


def test_it_shows_what_is_passed_on(graph):
    nodes = {node.id: node for node in graph.nodes}
    assert ("Trainer", "ResponseGen") in graph.edges
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


def test_no_text_leaves_its_box(graph):
    svg = dag.draw(graph)
    ElementTree.fromstring(svg)  # it is well-formed
    texts = re.findall(r'<text class="small"[^>]*>([^<]+)</text>', svg)
    assert max(map(len, texts)) <= 34


def test_edges_run_downwards_and_nothing_overlaps():
    edges = [("a", "b"), ("b", "c"), ("a", "c"), ("x", "c"), ("c", "d"), ("a", "d")]
    layout = layered("abcdx", edges, **SIZES)
    for start, end in edges:
        ys = [y for _, y in layout.routes[start, end]]
        assert ys == sorted(set(ys))
    centers = list(layout.centers.values())
    for number, (x, y) in enumerate(centers):
        assert 5 <= x <= layout.width - 5
        for other_x, other_y in centers[:number]:
            assert y != other_y or abs(x - other_x) >= 12 - 1e-9
    assert layout == layered("abcdx", edges, **SIZES), "the same every time"


def test_a_source_stands_above_what_it_leads_to():
    layout = layered("abcx", [("a", "b"), ("b", "c"), ("x", "c")], **SIZES)
    assert layout.centers["x"][1] == layout.centers["b"][1]


def test_neighbours_trade_places_where_edges_would_cross():
    layout = layered("abcd", [("a", "d"), ("b", "c")], **SIZES)
    (a, b), (c, d) = ((layout.centers[n][0] for n in pair) for pair in ("ab", "cd"))
    assert (a < b) == (d < c)


def test_a_cycle_is_refused():
    with pytest.raises(ValueError, match=r"cycle.*'a', 'b'"):
        layered("ab", [("a", "b"), ("b", "a")], **SIZES)
