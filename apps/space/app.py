"""The application of a pushed model: chat, coverage prompts with their references, figures.

It stands alone: on the Hub it is a Space that reads `space.json`, on a machine it takes a folder.
"""

import argparse
import functools
import html
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

# Gradio summarizes its events after each one, for a page that is not shown, with calls that the
# pandas of TFX 1.16 does not have: never is often enough.
os.environ.setdefault("GRADIO_ANALYTICS_CACHE_FREQUENCY", str(1 << 62))

import gradio as gr
import page
from answering import Answerer, NoModelError
from evaluation import Evaluation, EvaluationError, VerdictRow, read_evaluation, turns_of
from gguf_answering import GgufAnswerer
from likeness import Likeness
from personal_data import NOTE, PersonalData

_HERE = Path(__file__).resolve().parent
_EVALUATION_FOLDER = "evaluation"
_POLL_SECONDS = 1.0
_NO_RESPONSE = "No response."
_INFO = {
    False: "Each message stands alone: the model has learned one task, not to talk.",
    True: "The turns above are part of the conversation.",
}
# System fonts: a page that works without the network needs no font server.
_FONT = ["system-ui", "-apple-system", "Segoe UI", "sans-serif"]
_MONO = ["ui-monospace", "SFMono-Regular", "Menlo", "monospace"]


class About(NamedTuple):
    """What the page says of itself.

    Attributes:
        title: The task's name.
        description: What the task is; empty for what all tasks have in common.
        name: The model and its revision.
    """

    title: str
    description: str
    name: str


def build(
    answerer: Answerer,
    evaluation: Evaluation | None,
    about: About,
    personal: PersonalData | None = None,
) -> gr.Blocks:
    """Build the page.

    Args:
        answerer: The model, which may still be loading.
        evaluation: The coverage figures; None where there are none.
        about: What the page says of the task and the model.
        personal: Hides personal data from the model; None to hide nothing.
    """
    personal = personal or PersonalData()
    rows = {page.label(row): row for row in evaluation.rows} if evaluation else {}
    with gr.Blocks(title=about.title, analytics_enabled=False, fill_width=True) as blocks:
        gr.HTML(page.header(about.title, about.description, about.name, evaluation), padding=False)
        status = gr.HTML(_status(answerer), elem_id="status", padding=False)
        with gr.Tab("Ask", id="ask"):
            _ask_tab(answerer, personal, rows, evaluation)
        with gr.Tab(f"Coverage prompts ({len(rows)})", id="prompts"):
            _prompts_tab(evaluation)
        gr.HTML(page.figures(evaluation), elem_id="figures", padding=False)
        timer = gr.Timer(_POLL_SECONDS)
        timer.tick(lambda: _poll(answerer), outputs=[status, timer], show_progress="hidden")
    return blocks


def _ask_tab(
    answerer: Answerer,
    personal: PersonalData,
    rows: dict[str, VerdictRow],
    evaluation: Evaluation | None,
) -> None:
    likeness = Likeness([turns_of(row.prompt)[-1] for row in rows.values()])

    def choose(label: str | None) -> tuple[Any, str, str]:
        row = rows.get(label or "")
        *earlier, last = turns_of(row.prompt) if row else [""]
        shown = _history(earlier) if has_conversations else gr.skip()
        return shown, last, page.comparison(evaluation, row)

    by_turns = {tuple(turns_of(row.prompt)): row for row in rows.values()}
    has_conversations = any(len(turns) > 1 for turns in by_turns)

    def ask(message: str, history: list[dict[str, Any]]) -> Iterator[tuple[Any, ...]]:
        if not message.strip():
            yield history, message, gr.skip()
            return
        earlier = _earlier(history) if has_conversations else []
        history = [*history, _said("user", message)]
        row = by_turns.get((*earlier, message)) or by_turns.get((*earlier, message.strip()))
        is_unlike = row is None and likeness.is_unlike(message)
        beside = page.comparison(evaluation, row, is_unlike=is_unlike)
        reply = ""
        try:
            # As it was written: the evaluation strips nothing either.
            for reply in _replies(answerer, personal, message, earlier):
                yield [*history, _said("assistant", reply)], "", beside
        except NoModelError as error:
            yield [*history, _said("assistant", f"{_NO_RESPONSE} {error}")], "", beside
            return
        beside = page.comparison(evaluation, row, reply, is_unlike=is_unlike)
        yield [*history, _said("assistant", reply)], "", beside

    with gr.Row(equal_height=False):
        with gr.Column(scale=3, min_width=320):
            message = gr.Textbox(
                placeholder="Write a message as a user of the task would",
                label="Message",
                info=f"{_INFO[has_conversations]} {NOTE if personal.is_hidden else ''}".strip(),
                lines=1,  # with more, Enter would not send
                max_lines=8,
                submit_btn="Ask",
                elem_id="message",
            )
            chips = []
            if examples := page.examples(evaluation):
                with gr.Row(elem_id="examples"):
                    chips = [
                        (gr.Button(page.chip(row), size="sm", min_width=0), page.label(row))
                        for row in examples
                    ]
            if rows:
                choice = gr.Dropdown(
                    list(rows),
                    value=None,
                    label="Coverage prompt",
                    info="Fills in the message; its reference is shown next to the response.",
                    elem_id="choice",
                )
            chat = gr.Chatbot(
                label="This model",
                show_label=False,
                height=None,
                elem_id="chat",
                render_markdown=False,
                placeholder="The responses of the model appear here.",
                buttons=[],  # one that copies would copy the escaped text
            )
            if has_conversations:
                gr.ClearButton([chat, message], value="New conversation")
        with gr.Column(scale=2, min_width=320):
            beside = gr.HTML(page.comparison(evaluation, None), elem_id="beside", padding=False)
    # One response at a time: a second one would only slow down the first.
    message.submit(
        ask, [message, chat], [chat, message, beside], concurrency_limit=1, show_progress_on=[chat]
    )
    if rows:
        choice.change(choose, choice, [chat, message, beside], show_progress="hidden")
    for button, label in chips:
        button.click(
            functools.partial(choose, label), None, [chat, message, beside], show_progress="hidden"
        )


def _history(texts: Sequence[str]) -> list[dict[str, Any]]:
    """Return turns as the chat shows them."""
    roles = ("user", "assistant")
    return [_said(roles[n % 2], text) for n, text in enumerate(texts)]


def _said(role: str, text: str) -> dict[str, Any]:
    """Return a turn whose text stays text: the chat draws HTML even where it draws no Markdown."""
    return {"role": role, "content": html.escape(text, quote=False)}


def _earlier(history: list[dict[str, Any]]) -> list[str]:
    """Return the texts of the turns in the chat, without those that got no response."""
    texts: list[str] = []
    for message in history:
        content = message["content"]
        if not isinstance(content, str):  # parts, of which ours is one
            content = "".join(part.get("text", "") for part in content)
        content = html.unescape(content)  # as it was said
        if message["role"] == "assistant" and content.startswith(_NO_RESPONSE):
            texts.pop()
        else:
            texts.append(content)
    return texts


def _prompts_tab(evaluation: Evaluation | None) -> None:
    with gr.Row(equal_height=True):
        wanted = gr.Radio(
            [(name.capitalize(), name) for name in ("all", "covered", "missed", "unscored")],
            value="all",
            label="Verdict",
            elem_id="wanted",
            min_width=340,
        )
        tag = gr.Dropdown(
            [("any", ""), *((name, name) for name in page.tags(evaluation))],
            value="",
            label="Tag",
            elem_id="tag",
        )
        text = gr.Textbox(
            label="Text", placeholder="in prompts, references and responses", elem_id="text"
        )
    table = gr.HTML(page.table(evaluation, "all"), elem_id="table", padding=False)
    filters: list[Any] = [wanted, tag, text]

    def show(verdict: str, tag: str | None, text: str | None) -> str:
        return page.table(evaluation, verdict, tag or "", text or "")

    for field in filters:
        field.change(show, filters, table, show_progress="hidden", trigger_mode="always_last")


def _replies(
    answerer: Answerer, personal: PersonalData, message: str, earlier: Sequence[str]
) -> Iterator[str]:
    if not answerer.is_ready and not answerer.error:
        yield "The model is still loading; the response follows."
    (*before, asked), originals = personal.hide([*earlier, message])
    for reply in answerer.stream(asked, before):
        yield personal.restore(reply, originals)


def _status(answerer: Answerer) -> str:
    return page.status(answerer.is_ready, answerer.error, answerer.loading_seconds)


def _poll(answerer: Answerer) -> tuple[str, gr.Timer]:
    return _status(answerer), gr.Timer(active=not (answerer.is_ready or answerer.error))


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", help="folder of the model, or owner/name on the Hub")
    parser.add_argument("--revision", help="tag or commit on the Hub")
    parser.add_argument(
        "--gguf", type=Path, help="GGUF file of the model, to answer with llama.cpp, without Keras"
    )
    parser.add_argument("--evaluation", type=Path, help="folder with coverage_report.json")
    parser.add_argument("--title", help="the task's name")
    parser.add_argument("--description", help="what the task is, in a sentence")
    parser.add_argument("--privacy", type=json.loads, help="JSON of the preset's section privacy")
    parser.add_argument("--host", default=None, help="address to listen on")
    parser.add_argument("--port", type=int, default=None, help="default: the first free from 7860")
    parser.add_argument("--log", type=Path, help="file for what libraries say of this machine")
    return parser.parse_args(argv)


def _keep_screen(log: Path) -> None:
    """Send what native libraries write to standard error to a file; Python's errors stay."""
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1)
    with log.open("ab") as file:
        os.dup2(file.fileno(), 2)


def main(argv: list[str] | None = None) -> None:
    """Load the model and serve the page until interrupted."""
    arguments = _arguments(argv)
    if arguments.log:
        _keep_screen(arguments.log)
    space_file = _HERE / "space.json"
    space = json.loads(space_file.read_text("utf-8")) if space_file.is_file() else {}
    model = arguments.model or space.get("model") or str(_HERE / "model")
    revision = arguments.revision if arguments.model else space.get("revision")
    folders = [Path(model) / _EVALUATION_FOLDER, Path(model), _HERE / _EVALUATION_FOLDER]
    try:
        evaluation = read_evaluation([arguments.evaluation] if arguments.evaluation else folders)
    except EvaluationError as error:
        raise SystemExit(str(error)) from error
    if arguments.gguf:
        answerer: Answerer = GgufAnswerer(model, arguments.gguf)
    else:
        answerer = Answerer(model, revision)
    answerer.start()
    about = About(
        title=arguments.title or space.get("title") or "Understudy",
        description=arguments.description or space.get("description") or "",
        name=f"{model} @ {revision}" if revision else model,
    )
    personal = PersonalData(arguments.privacy or space.get("privacy"))
    blocks = build(answerer, evaluation, about, personal)
    _, address, _ = blocks.launch(
        server_name=arguments.host,
        server_port=arguments.port,
        theme=gr.themes.Base(primary_hue="indigo", radius_size="lg", font=_FONT, font_mono=_MONO),
        css_paths=[_HERE / "style.css"],
        ssr_mode=False,
        show_error=True,
        max_file_size=0,  # nothing here takes a file
        quiet=True,  # it would recommend to share the page
        prevent_thread_lock=True,
    )
    print(f"Open {address} in a browser; Ctrl-C ends it.", flush=True)  # noqa: T201
    blocks.block_thread()


if __name__ == "__main__":
    main()
