"""Chromium as the tests use it: selenium's driver, with what it lacks for pages of any width."""

import json
import shutil

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
_LOGS = {"browser": "ALL", "performance": "ALL"}


def installed():
    """The paths of Chromium and chromedriver; None where one of them is missing."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    chromedriver = shutil.which("chromedriver")
    return (chromium, chromedriver) if chromium and chromedriver else None


class Browser(webdriver.Chrome):
    """A headless Chromium that shows one page."""

    def __init__(self, chromium, chromedriver):
        options = webdriver.ChromeOptions()
        options.binary_location = chromium
        for argument in _ARGUMENTS:
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", _LOGS)
        super().__init__(options=options, service=Service(chromedriver))

    def open(self, url, width):
        """Shows a page on a screen of that width in CSS pixels."""
        # Chromium's own windows are not narrower than 500 pixels; a device's screen is.
        metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
        self.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
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

    def complaints(self):
        """What the console says, such as violations of the page's policy; each is said once."""
        return [entry["message"] for entry in self.get_log("browser")]

    def requested(self):
        """The URLs that were asked for since the last call, the page's own among them."""
        messages = (json.loads(e["message"])["message"] for e in self.get_log("performance"))
        return [
            message["params"]["request"]["url"]
            for message in messages
            if message["method"] == "Network.requestWillBeSent"
        ]
