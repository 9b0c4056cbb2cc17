"""An HTML page taken apart."""

import json
import re
from html.parser import HTMLParser

ATTACK = "</p><script>alert(1)</script><img src=x onerror=alert(2)>"
_VOID = {"meta", "br", "input", "link", "img", "source"}


class Page(HTMLParser):
    """The page's rows of tables, its elements, and whether it is well formed."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.rows, self._open = [], [], []
        self.feed(text)
        self.close()
        assert self._open == [], "every element is closed"

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in _VOID:
            self._open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self._open.pop() == tag
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] = plain(" ".join(self.rows[-1][-1].split()))

    def handle_data(self, data):
        if {"td", "th"} & set(self._open):
            self.rows[-1][-1] += data

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def plain(text):
    """A page's text with the spaces and hyphens that a terminal shows; see reports.typeset."""
    return text.replace("&nbsp;", " ").replace("\u00a0", " ").replace("\u2212", "-")


def embedded_rows(text):
    """The rows of the table of every prompt, which its script shows; see prompts.js."""
    (block,) = re.findall('<script type="application/json" id="rows">(.*?)</script>', text, re.S)
    return json.loads(block)["rows"]


def rate_text(rate):
    unscored = f", {rate.unscored} unscored" if rate.unscored else ""
    return (
        f"{rate.rate_percent:.1f} % {rate.covered} of {rate.total}{unscored} "
        f"{rate.low_percent:.1f} % to {rate.high_percent:.1f} %"
    )
