"""Draws the DAG of a round from the code: `python -m docs.dag` writes docs/images/dag.svg."""

import dataclasses
import hashlib
import subprocess
from pathlib import Path

import pydot
from tfx.dsl.components.base.base_node import BaseNode

from pipeline.config import load_config
from pipeline.pipeline import create_pipeline

DIAGRAM = Path(__file__).with_name("images") / "dag.svg"

# What `run_rounds` hands to a later round, and which node's output it is.
_HANDED_ON = {
    "history_uri": "SynthDataGen",
    "report_uri": "LLMEvaluator",
    "warm_start_uri": "Trainer",
}

_FONT = "sans-serif"
_CUSTOM, _STOCK, _LINE, _LOOP = "#e8eaf6", "#f5f5f5", "#78909c", "#c2185b"

# In an SVG the style has precedence over Graphviz' attributes.
_DARK_STYLE = f"""<style>
@media (prefers-color-scheme: dark) {{
  [fill="white"] {{ fill: #12161c; }}
  [fill="{_CUSTOM}"] {{ fill: #283a7a; }}
  [fill="{_STOCK}"] {{ fill: #37424a; }}
  [stroke="black"], [stroke="{_LINE}"] {{ stroke: #b0bec5; }}
  [stroke="{_LOOP}"] {{ stroke: #f48fb1; }}
  polygon[fill="{_LINE}"] {{ fill: #b0bec5; }}
  polygon[fill="{_LOOP}"] {{ fill: #f48fb1; }}
  text {{ fill: #eceff1; }}
  text[fill="{_LOOP}"] {{ fill: #f48fb1; }}
}}
</style>
"""

Edge = tuple[str, str]


@dataclasses.dataclass(frozen=True)
class Node:
    """A component of the pipeline, as far as it is drawn.

    Attributes:
        id: Its id in the pipeline.
        outputs: Names of the types of its outputs' artifacts.
        is_custom: Whether it is of this repository.
        asks: Whether it asks the service LLM.
        takes: Parameters that an earlier round gives values to.
    """

    id: str
    outputs: tuple[str, ...]
    is_custom: bool
    asks: bool
    takes: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Graph:
    """The DAG of one round.

    Attributes:
        nodes: In the order of the pipeline.
        edges: From and to, where an artifact is passed.
        order: From and to, where one node only waits for another.
    """

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    order: tuple[Edge, ...]


def read_graph() -> Graph:
    """Read the graph of what `create_pipeline` returns for the default preset."""
    marks = {name: f"<{name}>" for name in _HANDED_ON}
    pipeline = create_pipeline(
        load_config("offline", environ={}),
        pipeline_root="root",
        journal_uri="journal",
        checkpoint_uri="checkpoints",
        coverage_dir="coverage",
        schema_file="schema",
        round=2,
        **marks,
    )
    components = pipeline.components
    edges = dict.fromkeys(
        (channel.producer_component_id, component.id)
        for component in components
        for channel in component.inputs.values()
    )
    waits = ((up.id, component.id) for component in components for up in component.upstream_nodes)
    return Graph(
        nodes=tuple(_node(component, marks) for component in components),
        edges=tuple(sorted(edges)),
        order=tuple(sorted(set(waits) - edges.keys())),
    )


def _node(component: BaseNode, marks: dict[str, str]) -> Node:
    values = component.exec_properties
    return Node(
        id=component.id,
        outputs=tuple(channel.type.__name__ for channel in component.outputs.values()),
        is_custom=type(component).__module__.startswith("components."),
        asks="service_llm" in values,
        takes=tuple(name for name, mark in marks.items() if values.get(name) == mark),
    )


def dot_source(graph: Graph) -> str:
    """Describe the graph in Graphviz' language."""
    drawing = pydot.Dot("round", rankdir="TB", bgcolor="white", fontname=_FONT)
    drawing.set_node_defaults(shape="box", style='"rounded,filled"', fontname=_FONT, fontsize="13")
    drawing.set_edge_defaults(fontname=_FONT, fontsize="11", color=_LINE)
    for node in graph.nodes:
        lines = [node.id, f"→ {', '.join(dict.fromkeys(node.outputs))}"]
        if node.asks:
            lines.append("asks the service LLM")
        drawing.add_node(
            pydot.Node(
                node.id,
                label=_quoted("\\n".join(lines)),
                fillcolor=_CUSTOM if node.is_custom else _STOCK,
            )
        )
    for edge in graph.edges:
        drawing.add_edge(pydot.Edge(*edge))
    for edge in graph.order:
        drawing.add_edge(pydot.Edge(*edge, style="dotted"))
    for node in graph.nodes:
        for name in node.takes:
            drawing.add_edge(
                pydot.Edge(
                    _HANDED_ON[name],
                    node.id,
                    style="dashed",
                    color=_LOOP,
                    fontcolor=_LOOP,
                    constraint="false",
                    label=_quoted("next round"),
                )
            )
    return str(drawing.to_string())


def draw(source: str) -> str:
    """Draw a graph as SVG with Graphviz' `dot`; the hash of its source goes into the file.

    Raises:
        SystemExit: `dot` is not installed.
    """
    try:
        done = subprocess.run(
            ["dot", "-Tsvg"], input=source, capture_output=True, text=True, check=True
        )
    except FileNotFoundError:
        raise SystemExit("The pipeline has changed: install graphviz to draw it again.") from None
    marked = done.stdout.replace("<svg ", f"<!-- {source_mark(source)} -->\n<svg ", 1)
    return marked.replace("<g ", f"{_DARK_STYLE}<g ", 1)


def source_mark(source: str) -> str:
    """Return the text that ties a drawing to its source."""
    return f"source {hashlib.sha256(source.encode()).hexdigest()}"


def _quoted(text: str) -> str:
    return f'"{text}"'


def main() -> None:
    """Draw the diagram again where the pipeline has changed."""
    source = dot_source(read_graph())
    if not DIAGRAM.exists() or source_mark(source) not in DIAGRAM.read_text(encoding="utf-8"):
        DIAGRAM.write_text(draw(source), encoding="utf-8")


if __name__ == "__main__":
    main()
