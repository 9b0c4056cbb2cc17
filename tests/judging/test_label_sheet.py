import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import UserError
from judging.label_sheet import (
    ANSWERS,
    Decision,
    Sheet,
    SheetRow,
    is_sheet,
    read_sheet,
    write_sheet,
)
from judging.labels import read_labels, write_labels
from judging.requests import JudgedResponse

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
DECISIONS = st.dictionaries(
    st.sampled_from(["ada", "=bob"]), st.builds(Decision, st.sampled_from(ANSWERS), TEXT)
)
ROWS = st.lists(
    st.builds(
        SheetRow,
        st.builds(JudgedResponse, TEXT, TEXT, TEXT),
        st.sampled_from(["both", "judge only"]),
        DECISIONS,
    ),
    unique_by=lambda row: row.judged,
    max_size=5,
)


@given(rows=ROWS)
def test_a_sheet_survives_its_file(rows):
    sheet = Sheet(tuple(rows))
    assert read_sheet(write_sheet(sheet), "labels.csv") == sheet


@given(rows=ROWS)
def test_a_sheet_is_a_file_of_labels(rows):
    sheet = Sheet(tuple(rows))
    labels = read_labels(write_sheet(sheet), "labels.csv")
    assert [(label.judged, label.covered) for label in labels] == [
        (row.judged, row.covered) for row in sheet.rows if row.covered is not None
    ]


def test_a_plain_file_of_labels_is_no_sheet():
    plain = write_labels([JudgedResponse("p", "o", "r")])
    assert not is_sheet(plain)
    assert is_sheet(write_sheet(Sheet(())))
    with pytest.raises(UserError, match=r"lacks the column stratum, probability, rater_1"):
        read_sheet(plain, "labels.csv")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (",both,", ",most,", "line 2: the stratum is 'most'"),
        (",covered,", ",fine,", "line 2: label_1 is 'fine'"),
    ],
)
def test_a_cell_that_was_changed_to_nonsense_is_named(old, new, message):
    row = SheetRow(JudgedResponse("p", "o", "r"), "both", {"ada": Decision("covered")})
    text = write_sheet(Sheet((row,)))
    assert old in text
    with pytest.raises(UserError, match=message):
        read_sheet(text.replace(old, new), "labels.csv")


def test_the_labels_are_words_that_a_person_would_write():
    rows = [
        SheetRow(JudgedResponse("p", "o", answer), "both", {"ada": Decision(answer)})
        for answer in ANSWERS
    ]
    assert [row.covered for row in rows] == [True, False, None]
    cells = [line.split(",")[3] for line in write_sheet(Sheet(tuple(rows))).splitlines()]
    assert cells == ["human_covered", "yes", "no", ""]
