"""Chromium as the tests use it: selenium's driver, with what it lacks for pages of any width."""

import base64
import importlib.util
import itertools
import json
import os
import re
import shutil
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.wait import WebDriverWait

WAIT_SECONDS = 120
_ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)
WIDTHS, SCHEMES = (1280, 390), ("light", "dark")
_AUDIT = """
const done = arguments[arguments.length - 1];
axe.run({preload: false}).then(
  (found) => done(found.violations.flatMap((rule) => rule.nodes.map(
    (node) => `${rule.id}: ${node.target} ${node.any[0]?.message ?? rule.help} ${node.html}`))),
  (error) => done([String(error)]),
);
"""
_LOGS = {"browser": "ALL", "performance": "ALL"}


def installed():
    """The paths of Chromium and chromedriver; None where one of them is missing."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    chromedriver = shutil.which("chromedriver")
    return (chromium, chromedriver) if chromium and chromedriver else None


def required():
    """The paths, or no test: with CI set, a missing program is a failure."""
    if paths := installed():
        return paths
    give_up = pytest.fail if os.environ.get("CI") else pytest.skip
    return give_up("chromium and chromedriver are not installed: apt-get install chromium-driver")


class Browser(webdriver.Chrome):
    """A headless Chromium that shows one page; `renew` makes it a new one, sooner than a start."""

    def __init__(self, chromium, chromedriver):
        options = webdriver.ChromeOptions()
        options.binary_location = chromium
        for argument in _ARGUMENTS:
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", _LOGS)
        super().__init__(options=options, service=Service(chromedriver))

    def renew(self):
        """Forgets all pages: a new tab, nothing stored, no settings of the screen, no log."""
        pages = self.window_handles
        self.switch_to.new_window("tab")
        kept = self.current_window_handle
        for page in pages:
            self.switch_to.window(page)
            self.close()
        self.switch_to.window(kept)
        self.execute_cdp_cmd("Storage.clearDataForOrigin", {"origin": "*", "storageTypes": "all"})
        self.delete_all_cookies()
        for log in _LOGS:
            self.get_log(log)

    def open(self, url, width, scheme="light"):
        """Shows a page on a screen of that width in CSS pixels."""
        # Chromium's own windows are not narrower than 500 pixels; a device's screen is.
        metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
        self.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        wanted = [{"name": "prefers-color-scheme", "value": scheme}]
        self.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": wanted})
        self.get(url)

    def run(self, script, *arguments):
        """What a script returns."""
        return self.execute_script(script, *arguments)

    def wait_for(self, expression):
        """The value of a JavaScript expression once it is true."""
        wait = WebDriverWait(self, WAIT_SECONDS, poll_frequency=0.1)
        return wait.until(lambda _: self.run(f"return {expression}"), expression)

    def overflow(self):
        """Pixels that the page is wider than the screen; 0 where it fits."""
        page = "document.documentElement"
        return self.run(f"return {page}.scrollWidth - {page}.clientWidth")

    def violations(self):
        """What axe-core finds on the page as it is shown now, by all its rules."""
        # From the package's file: importing it would import Playwright, which is not installed.
        package = Path(importlib.util.find_spec("axe_playwright_python").origin).parent
        self.set_script_timeout(WAIT_SECONDS)
        self.run((package / "axe.min.js").read_text(encoding="utf-8"))
        return self.execute_async_script(_AUDIT)

    def open_details(self):
        """Opens all parts that are folded, those that are made when they are opened among them."""
        self.run("for (const part of document.querySelectorAll('details')) part.open = true")
        self.wait_for(
            "[...document.querySelectorAll('details.later')].every(it => it.children.length > 2)"
        )

    def audit(self, url, ready="document.readyState === 'complete'", *, opened=False):
        """What axe-core finds on the page on both widths, light and dark, once it is ready.

        With `opened`, all its folded parts are opened first.
        """
        found = []
        for width, scheme in itertools.product(WIDTHS, SCHEMES):
            self.open(url, width, scheme)
            self.wait_for(ready)
            self.run("try { localStorage.clear() } catch {}")  # the scheme that was chosen
            if opened:
                self.open_details()
            found += [f"{width} {scheme}: {violation}" for violation in self.violations()]
            if wider := self.overflow():
                found.append(f"{width} {scheme}: {wider} pixels wider than the screen")
        return found

    def printed_pages(self):
        """How many pages the shown page takes on paper."""
        pdf = base64.b64decode(self.execute_cdp_cmd("Page.printToPDF", {})["data"])
        return len(re.findall(rb"/Type\s*/Page\b", pdf))

    def complaints(self):
        """What the console says, such as violations of the page's policy; each is said once."""
        return [entry["message"] for entry in self.get_log("browser")]

    def requested(self):
        """The URLs that were asked for since the last call, the page's own among them.

        An image within the page (`data:`) is asked of nobody.
        """
        messages = (json.loads(e["message"])["message"] for e in self.get_log("performance"))
        urls = [
            message["params"]["request"]["url"]
            for message in messages
            if message["method"] == "Network.requestWillBeSent"
        ]
        return [url for url in urls if not url.startswith("data:")]
