"""Takes the picture of the coverage rates in the README from the report of a run.

python -m docs.chart output/report.html     writes docs/images/coverage.png
"""

import sys
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.common.by import By

PICTURE = Path(__file__).with_name("images") / "coverage.png"
_CHART = "#coverage img"
_SIZE = (1280, 2000)  # pixels


def take_picture(report: Path) -> bytes:
    """Return the chart of coverage rates as PNG, as a browser shows it on a light screen.

    Args:
        report: The `report.html` of a run.

    Raises:
        SystemExit: It shows no chart.
    """
    options = webdriver.ChromeOptions()
    for argument in ("--headless=new", "--no-sandbox", "--hide-scrollbars"):
        options.add_argument(argument)
    options.add_argument(f"--window-size={_SIZE[0]},{_SIZE[1]}")
    with webdriver.Chrome(options=options) as browser:
        browser.get(report.resolve().as_uri())
        charts = browser.find_elements(By.CSS_SELECTOR, _CHART)
        chart = next((chart for chart in charts if chart.is_displayed()), None)
        if chart is None:
            raise SystemExit(f"{report} shows no chart of coverage rates.")
        return chart.screenshot_as_png


if __name__ == "__main__":
    PICTURE.write_bytes(take_picture(Path(sys.argv[1])))
