"""The application of a pushed model: chat, coverage prompts with their references, figures.

It stands alone: on the Hub it is a Space that reads `space.json`, on a machine it takes a folder.
"""

import argparse
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

# Gradio summarizes its events after each one, for a page that is not shown, with calls that the
# pandas of TFX 1.16 does not have: never is often enough.
os.environ.setdefault("GRADIO_ANALYTICS_CACHE_FREQUENCY", str(1 << 62))

import gradio as gr
import page
from answering import Answerer, NoModelError
from evaluation import Evaluation, VerdictRow, read_evaluation, turns_of
from gguf_answering import GgufAnswerer
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


def build(
    answerer: Answerer,
    evaluation: Evaluation | None,
    title: str,
    name: str,
    personal: PersonalData | None = None,
) -> gr.Blocks:
    """Build the page.

    Args:
        answerer: The model, which may still be loading.
        evaluation: The coverage figures; None where there are none.
        title: The task's name.
        name: The model and its revision, as shown below the title.
        personal: Hides personal data from the model; None to hide nothing.
    """
    personal = personal or PersonalData()
    rows = {page.label(row): row for row in evaluation.rows} if evaluation else {}
    with gr.Blocks(title=title, analytics_enabled=False, fill_width=True) as blocks:
        gr.HTML(page.header(title, name, evaluation), padding=False)
        status = gr.HTML(_status(answerer), elem_id="status", padding=False)
        with gr.Tab("Ask", id="ask"):
            _ask_tab(answerer, personal, rows, evaluation.base_responses if evaluation else {})
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
    base_responses: dict[str, str],
) -> None:
    def compare(row: VerdictRow | None, reply: str | None = None) -> str:
        return page.comparison(row, reply, base_responses.get(row.id, "") if row else "")

    def choose(label: str | None) -> tuple[Any, str, str]:
        row = rows.get(label or "")
        *earlier, last = turns_of(row.prompt) if row else [""]
        shown = _history(earlier) if has_conversations else gr.skip()
        return shown, last, compare(row)

    by_turns = {tuple(turns_of(row.prompt)): row for row in rows.values()}
    has_conversations = any(len(turns) > 1 for turns in by_turns)

    def ask(message: str, history: list[dict[str, Any]]) -> Iterator[tuple[Any, ...]]:
        if not message.strip():
            yield history, message, gr.skip()
            return
        earlier = _earlier(history) if has_conversations else []
        history = [*history, {"role": "user", "content": message}]
        row = by_turns.get((*earlier, message)) or by_turns.get((*earlier, message.strip()))
        beside = compare(row)
        reply = ""
        try:
            # As it was written: the evaluation strips nothing either.
            for reply in _replies(answerer, personal, message, earlier):
                yield [*history, {"role": "assistant", "content": reply}], "", beside
        except NoModelError as error:
            failure = {"role": "assistant", "content": f"{_NO_RESPONSE} {error}"}
            yield [*history, failure], "", beside
            return
        yield [*history, {"role": "assistant", "content": reply}], "", compare(row, reply)

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
                buttons=["copy"],
            )
            if has_conversations:
                gr.ClearButton([chat, message], value="New conversation")
        with gr.Column(scale=2, min_width=320):
            beside = gr.HTML(compare(None), elem_id="beside", padding=False)
    # One response at a time: a second one would only slow down the first.
    message.submit(
        ask, [message, chat], [chat, message, beside], concurrency_limit=1, show_progress_on=[chat]
    )
    if rows:
        choice.change(choose, choice, [chat, message, beside], show_progress="hidden")


def _history(texts: Sequence[str]) -> list[dict[str, Any]]:
    """Return turns as the chat shows them."""
    roles = ("user", "assistant")
    return [{"role": roles[n % 2], "content": text} for n, text in enumerate(texts)]


def _earlier(history: list[dict[str, Any]]) -> list[str]:
    """Return the texts of the turns in the chat, without those that got no response."""
    texts: list[str] = []
    for message in history:
        content = message["content"]
        if not isinstance(content, str):  # parts, of which ours is one
            content = "".join(part.get("text", "") for part in content)
        if message["role"] == "assistant" and content.startswith(_NO_RESPONSE):
            texts.pop()
        else:
            texts.append(content)
    return texts


def _prompts_tab(evaluation: Evaluation | None) -> None:
    wanted = gr.Radio(
        [("All", "all"), ("Covered", "covered"), ("Missed", "missed"), ("Unscored", "unscored")],
        value="all",
        label="Verdict",
        elem_id="wanted",
    )
    table = gr.HTML(page.table(evaluation, "all"), elem_id="table", padding=False)
    wanted.change(
        lambda value: page.table(evaluation, value), wanted, table, show_progress="hidden"
    )


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
    parser.add_argument("--privacy", type=json.loads, help="JSON of the preset's section privacy")
    parser.add_argument("--host", default=None, help="address to listen on")
    parser.add_argument("--port", type=int, default=None, help="default: the first free from 7860")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Load the model and serve the page until interrupted."""
    arguments = _arguments(argv)
    space_file = _HERE / "space.json"
    space = json.loads(space_file.read_text("utf-8")) if space_file.is_file() else {}
    model = arguments.model or space.get("model") or str(_HERE / "model")
    revision = arguments.revision if arguments.model else space.get("revision")
    folders = [Path(model) / _EVALUATION_FOLDER, Path(model), _HERE / _EVALUATION_FOLDER]
    evaluation = read_evaluation([arguments.evaluation] if arguments.evaluation else folders)
    if arguments.gguf:
        answerer: Answerer = GgufAnswerer(model, arguments.gguf)
    else:
        answerer = Answerer(model, revision)
    answerer.start()
    title = arguments.title or space.get("title") or "Understudy"
    name = f"{model} @ {revision}" if revision else model
    personal = PersonalData(arguments.privacy or space.get("privacy"))
    build(answerer, evaluation, title, name, personal).launch(
        server_name=arguments.host,
        server_port=arguments.port,
        theme=gr.themes.Base(primary_hue="indigo", radius_size="lg", font=_FONT, font_mono=_MONO),
        css_paths=[_HERE / "style.css"],
        ssr_mode=False,
        show_error=True,
        max_file_size=0,  # nothing here takes a file
    )


if __name__ == "__main__":
    main()
