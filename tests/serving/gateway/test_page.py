"""The gateway's own page on a narrow screen."""

import httpx
import pytest
from selenium.webdriver.common.keys import Keys

pytestmark = pytest.mark.slow

_REQUESTS = "document.querySelector('[aria-label=\"Latest requests\"]')"


def test_wide_tables_scroll_in_their_box_and_show_that_there_is_more(servers, browser):
    servers.start()
    servers.ask("gemini", stream=False)
    browser.open(f"{servers.url}/understudy/", 390)
    assert browser.overflow() == 0
    assert browser.run(f"return {_REQUESTS}.scrollWidth > {_REQUESTS}.clientWidth")
    style = f"getComputedStyle({_REQUESTS})"
    assert browser.run(f"return {style}.backgroundImage.split('linear-gradient').length") == 5
    assert browser.run(f"return {style}.backgroundAttachment") == "local, local, scroll, scroll"


def test_new_requests_leave_the_scrolled_table_and_its_focus_where_they_are(servers, browser):
    servers.start()
    browser.open(f"{servers.url}/understudy/", 390)
    browser.run(f"{_REQUESTS}.focus()")
    browser.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    browser.wait_for(f"{_REQUESTS}.scrollLeft > 0")
    servers.ask("gemini", stream=False)
    browser.wait_for(f"{_REQUESTS}.querySelectorAll('td.service').length === 1")
    assert browser.run(f"return {_REQUESTS}.scrollLeft") > 0
    assert browser.run(f"return document.activeElement === {_REQUESTS}")


def test_an_alarm_appears_without_loading_the_page_again(servers, browser):
    servers.start()
    browser.open(f"{servers.url}/understudy/", 390)
    alarms = "document.querySelectorAll('.alarm').length"
    assert browser.run(f"return {alarms}") == 0
    alarm = {"name": "drift", "raised": True, "text": "50.0 % is covered."}
    httpx.post(f"{servers.url}/understudy/alarm", json=alarm)
    browser.wait_for(f"{alarms} === 1")
    shown = browser.run("return document.querySelector('.alarm').innerText")
    assert "50.0 % is covered." in shown
    assert browser.complaints() == []
