"""The recorded terminal of the README: drawn from its recording, and as small as it should be."""

import re
import shutil

import pytest

from docs import terminal
from docs.terminal import Screen

_CODES = re.compile(r"\x1b\[[\d;]*m")


@pytest.fixture(scope="module")
def recording():
    return terminal.RECORDING.read_text(encoding="utf-8")


def test_the_committed_drawing_is_of_the_committed_recording(recording):
    drawing = terminal.DRAWING.read_text(encoding="utf-8")
    assert terminal.source_mark(recording) in drawing, "run `python -m docs.terminal draw`"
    assert "http" not in drawing.replace("http://www.w3.org/2000/svg", "")


def test_the_recorded_run_came_to_its_end_and_fits_the_terminal(recording):
    title, screens = terminal.read(recording)
    assert title == "make run PRESET=smoke", "what the README says that it shows"
    for screen in screens:
        lines = _CODES.sub("", screen.text).splitlines()
        assert len(lines) <= terminal.LINES
        assert max(map(len, lines)) <= terminal.COLUMNS
    last = _CODES.sub("", screens[-1].text)
    assert "Report, for your browser: output" in last
    assert "understudy serve" in last
    components = [screen for screen in screens if "✓ Trainer" in _CODES.sub("", screen.text)]
    assert components, "the components are seen with their times"


def test_screens_are_kept_when_more_than_figures_change():
    shown = [(0, "a 1 s"), (1, "a 2 s"), (2, "b 3 s"), (3, "b 4 s"), (25, "b 9 s"), (26, "b 10 s")]
    kept = list(terminal.kept(iter(Screen(*screen) for screen in shown)))
    assert [screen.seconds for screen in kept] == [0, 2, 25, 26]


def test_each_screen_has_its_turn_and_the_last_one_stands_without_motion(browser, tmp_path):
    header = '{"version": 2, "width": 80, "height": 24, "title": "make run"}'
    events = [f'[{n}, "o", "\\u001b[H\\u001b[2Jscreen \\u001b[32m<{n}>"]' for n in range(3)]
    file = tmp_path / "run.svg"
    file.write_text(terminal.draw("\n".join([header, *events]) + "\n"), encoding="utf-8")
    browser.open(file.as_uri(), 1280)
    shown = (
        "[...document.querySelectorAll('.s')].filter(s => getComputedStyle(s).visibility =="
        " 'visible').map(s => s.textContent.match(/<\\d>/)[0]).join()"
    )
    at = "document.getAnimations().forEach(a => { a.pause(); a.currentTime = arguments[0] })"
    seen = []
    for milliseconds in (10, 800, 1500, 9000):
        browser.run(at, milliseconds)
        seen.append(browser.run(f"return {shown}"))
    assert seen == ["<0>", "<1>", "<2>", "<2>"]
    still = [{"name": "prefers-reduced-motion", "value": "reduce"}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": still})
    assert browser.run(f"return {shown}") == "<2>"
    assert browser.run("return document.documentElement.getBoundingClientRect().width") <= 1280


@pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux makes the recordings")
def test_a_command_is_recorded():
    title, screens = terminal.read(terminal.record(["sh", "-c", "printf 'one\\n'; sleep 1"]))
    assert title == "sh -c 'printf '\"'\"'one\\n'\"'\"'; sleep 1'"
    assert screens[-1].text.splitlines() == [f"$ {title}", "one", "$"]
