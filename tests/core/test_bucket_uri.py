"""URIs of Cloud Storage come apart in one place."""

import pytest

from core.bucket_uri import split_uri


@pytest.mark.parametrize(
    ("uri", "parts"),
    [
        ("gs://team/a/b.jsonl", ("team", "a/b.jsonl")),
        ("gs://team/a/", ("team", "a/")),
        ("gs://team/", ("team", "")),
        ("gs://team", ("team", "")),
    ],
)
def test_a_uri_is_a_bucket_and_a_name(uri, parts):
    assert split_uri(uri) == parts
