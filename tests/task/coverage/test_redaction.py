import pytest

from core.errors import UserError
from core.records import CoverageRow
from task.coverage.redaction import redacted_rows
from task.privacy import PrivacySettings

ON = PrivacySettings(redact=True)


def row(row_id, prompt, output="x"):
    return CoverageRow(row_id, prompt, output, "seed", ("en",))


def test_prompt_and_output_are_redacted_together_and_the_rest_stays():
    rows = [row("a", "I am ada@example.org", '{"mail": "ada@example.org"}'), row("b", "hello")]
    redacted = [row("a", "I am [EMAIL_1]", '{"mail": "[EMAIL_1]"}'), row("b", "hello")]
    assert redacted_rows(rows, ON) == redacted


def test_tags_are_redacted_over_the_dataset_so_that_kinds_of_rows_stay_apart():
    tags = ("team:ada@example.org", "by ada@example.org", "team:bob@example.org", "en")
    told = CoverageRow("a", "I am bob@example.org", "x", "seed", tags)
    (found,) = redacted_rows([told], ON)
    assert found.tags == ("team:[EMAIL_1]", "by [EMAIL_1]", "team:[EMAIL_2]", "en")
    assert found.prompt == "I am [EMAIL_1]"
    other = CoverageRow("b", "Hi", "x", "seed", ("team:bob@example.org", "team:ada@example.org"))
    assert redacted_rows([told, other], ON)[1].tags == ("team:[EMAIL_2]", "team:[EMAIL_1]")


def test_nothing_is_changed_unless_asked_for():
    rows = [row("a", "I am ada@example.org")]
    assert redacted_rows(rows, PrivacySettings()) == rows


def test_prompts_that_differ_in_personal_data_alone_are_named():
    rows = [row("a", "I am ada@example.org"), row("b", "I am bob@example.org")]
    with pytest.raises(UserError, match="'a' and 'b' are the same"):
        redacted_rows(rows, ON)
