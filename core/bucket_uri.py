"""URIs of Cloud Storage: `gs://BUCKET/NAME`."""

GCS = "gs://"


def split_uri(uri: str) -> tuple[str, str]:
    """Return the bucket and the name in it, which may be empty."""
    bucket, _, name = uri.removeprefix(GCS).partition("/")
    return bucket, name
