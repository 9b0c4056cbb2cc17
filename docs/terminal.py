"""Records a run in a terminal of 80 x 24, and draws the recording as an SVG that plays.

    python -m docs.terminal record make run PRESET=smoke
                                     writes docs/images/run.cast, and then the drawing
    python -m docs.terminal draw     draws docs/images/run.svg from the recording

A recording is an asciicast of version 2, which `asciinema play` plays, too. The terminal is tmux's.
"""

import hashlib
import io
import itertools
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

RECORDING = Path(__file__).with_name("images") / "run.cast"
DRAWING = RECORDING.with_suffix(".svg")

COLUMNS, LINES = 80, 24
_CLEAR = "\x1b[H\x1b[2J"
_LOOK_SECONDS = 0.5
_KEPT_AT_LEAST = 20.0  # seconds between screens on which only figures have changed
_FIGURES = re.compile(r"[\d.,:━╸╺]+")

_SHOWN_SECONDS, _LAST_SECONDS = 0.7, 8.0  # of each screen, and of the one at the end
_PADDING, _RADIUS = 16, 10  # pixels around the text
_FORMAT = "{styles}\0{backgrounds}{matrix}\0{terminal_width}\0{terminal_height}"
_CLIP = re.compile(r' clip-path="[^"]*"')


def _colors(codes: str) -> list[tuple[int, int, int]]:
    """Return the red, green and blue of colors such as `ff7b72`."""
    return [(code[0], code[1], code[2]) for code in map(bytes.fromhex, codes.split())]


_THEME = TerminalTheme(
    (22, 27, 34),
    (230, 237, 243),
    _colors("484f58 ff7b72 3fb950 d29922 79c0ff bc8cff 56d4dd b1bac4"),
    _colors("6e7681 ffa198 56d364 e3b341 a5d6ff d2a8ff b3f0ff f0f6fc"),
)


class Screen(NamedTuple):
    """What a terminal showed.

    Attributes:
        seconds: Since the command was given.
        text: Its lines, with escape sequences for colors.
    """

    seconds: float
    text: str


def kept(screens: Iterator[Screen]) -> Iterator[Screen]:
    """Leave out screens on which nothing but figures changed within twenty seconds."""
    before = last = None
    for last in screens:
        if before is None or _differ(before, last):
            before = last
            yield last
    if last is not None and last is not before:
        yield last


def _differ(before: Screen, now: Screen) -> bool:
    if now.seconds - before.seconds >= _KEPT_AT_LEAST:
        return now.text != before.text
    return _FIGURES.sub("", before.text) != _FIGURES.sub("", now.text)


def record(command: Sequence[str]) -> str:
    """Run a command in a terminal of its own and return the recording."""
    line = shlex.join(command)
    screens = list(kept(_watch(f"printf '$ %s\\n' {shlex.quote(line)}; {line}; printf '$ '")))
    header = {"version": 2, "width": COLUMNS, "height": LINES, "title": line}
    events = [[round(s.seconds, 1), "o", _CLEAR + s.text.replace("\n", "\r\n")] for s in screens]
    lines = (json.dumps(entry, ensure_ascii=False) for entry in (header, *events))
    return "".join(f"{line}\n" for line in lines)


def _watch(script: str) -> Iterator[Screen]:
    socket = f"understudy-{os.getpid()}"

    def tmux(*arguments: str) -> str:
        command = ["tmux", "-L", socket, "-f", "/dev/null", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    with tempfile.TemporaryDirectory() as folder:
        over = Path(folder, "over")
        # The terminal stays, as a person's does: tmux would write into one whose program is gone.
        script += f"; touch {shlex.quote(str(over))}; sleep infinity"
        size = ("-x", str(COLUMNS), "-y", str(LINES))
        hide_status = ("set", "-g", "status", "off", ";")
        tmux("start-server", ";", *hide_status, "new-session", "-d", *size, "bash", "-c", script)
        started = time.monotonic()
        try:
            is_over = False
            while not is_over:
                is_over = over.exists()
                text = tmux("capture-pane", "-e", "-p").rstrip("\n")
                yield Screen(time.monotonic() - started, text)
                time.sleep(_LOOK_SECONDS)
        finally:
            tmux("kill-server")


def read(recording: str) -> tuple[str, list[Screen]]:
    """Return the title and the screens of a recording."""
    header, *events = map(json.loads, recording.splitlines())
    return header["title"], [
        Screen(seconds, text.removeprefix(_CLEAR).replace("\r\n", "\n"))
        for seconds, _, text in events
    ]


def draw(recording: str) -> str:
    """Draw the screens as an SVG that shows one after the other, again and again.

    Where motion is unwanted (`prefers-reduced-motion`), the last screen stands still.
    """
    title, screens = read(recording)
    shown = [_SHOWN_SECONDS] * (len(screens) - 1) + [_LAST_SECONDS]
    starts = [0.0, *itertools.accumulate(shown)]
    total = starts.pop()
    styles, groups = [], []
    for number, (screen, start) in enumerate(zip(screens, starts, strict=True)):
        name = f"s{number}"
        style, body, width, height = _drawn(screen.text, name)
        styles.append(style)
        styles.append(_visible(name, start / total, (start + shown[number]) / total))
        groups.append(f'<g class="s" style="animation-name:{name}">{body}</g>')
    groups[-1] = groups[-1].replace('class="s"', 'class="s last"')
    across, down = float(width) + 2 * _PADDING, float(height) + 2 * _PADDING
    return (
        f'<svg viewBox="0 0 {across:g} {down:g}" xmlns="http://www.w3.org/2000/svg" role="img">\n'
        f"<!-- {source_mark(recording)} -->\n<title>{title}, in a terminal</title>\n<style>\n"
        "text { font: 20px ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace; "
        "white-space: pre }\n"
        f".s {{ visibility: hidden; animation: {total:g}s step-end infinite }}\n"
        "@media (prefers-reduced-motion: reduce) "
        "{ .s { animation: none } .last { visibility: visible } }\n"
        f"{''.join(styles)}</style>\n"
        f'<rect width="100%" height="100%" rx="{_RADIUS}" fill="{_THEME.background_color.hex}"/>\n'
        f'<g transform="translate({_PADDING} {_PADDING})">\n{chr(10).join(groups)}\n</g>\n</svg>\n'
    )


def _drawn(text: str, name: str) -> list[str]:
    """Draw one screen with Rich: styles, body, width and height."""
    console = Console(
        record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, color_system="256"
    )
    lines = text.split("\n")
    for line in [*lines, *[""] * (LINES - len(lines))]:
        console.print(Text.from_ansi(line), no_wrap=True, crop=True)
    drawn = console.export_svg(code_format=_FORMAT, unique_id=name, theme=_THEME)
    return _CLIP.sub("", drawn).split("\0")


def _visible(name: str, start: float, end: float) -> str:
    """Return the animation that shows something for a part of the time; both from 0 to 1."""
    times = [(start, "visible"), (end, "hidden")]
    if start:
        times.insert(0, (0.0, "hidden"))
    frames = "".join(f"{100 * at:.2f}%{{visibility:{state}}}" for at, state in times)
    return f"@keyframes {name}{{{frames}}}\n"


def source_mark(recording: str) -> str:
    """Return the text that ties a drawing to its recording."""
    return f"source {hashlib.sha256(recording.encode()).hexdigest()}"


def main(arguments: Sequence[str]) -> None:
    """Record, where a command is given, and draw."""
    actions: dict[str, Callable[[], object]] = {
        "record": lambda: RECORDING.write_text(record(arguments[1:]), encoding="utf-8"),
        "draw": lambda: None,
    }
    if not arguments or arguments[0] not in actions:
        raise SystemExit(__doc__)
    actions[arguments[0]]()
    DRAWING.write_text(draw(RECORDING.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
