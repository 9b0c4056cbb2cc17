"""Without a browser, pages are tested nowhere: where all tests have to run, that is a failure."""

import pytest

from tests.browser import required


@pytest.mark.parametrize(
    ("ci", "outcome"),
    [("true", pytest.fail.Exception), (None, pytest.skip.Exception)],
    ids=["continuous integration", "a developer"],
)
@pytest.mark.parametrize("present", [(), ("chromium",), ("chromedriver",)], ids=str)
def test_a_missing_browser_fails_in_continuous_integration_and_skips_elsewhere(
    monkeypatch, tmp_path, ci, outcome, present
):
    for name in present:
        (tmp_path / name).touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CI", ci) if ci else monkeypatch.delenv("CI", raising=False)
    with pytest.raises(outcome, match="apt-get install chromium-driver"):
        required()
