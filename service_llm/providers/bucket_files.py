"""Batch jobs of Vertex AI: their requests and replies are files in a bucket of Cloud Storage.

A line has no key of its own there. It comes back with its request, so the key is a label of the
request, as other gateways do it: https://github.com/BerriAI/litellm/pull/25627,
https://github.com/maximhq/bifrost/pull/4152

Source:
https://docs.cloud.google.com/vertex-ai/generative-ai/docs/multimodal/batch-prediction-from-cloud-storage
"""

import contextlib
import re
import uuid
from collections.abc import Iterator, Mapping

from google.cloud import storage
from google.genai import types as genai_types

from core.bucket_uri import split_uri
from core.errors import OutageError
from service_llm.batch_jobs import JobLostError
from service_llm.cloud_storage import explained_errors, open_storage
from service_llm.errors import TransientError
from service_llm.providers.batch_files import Outcome, fields
from service_llm.providers.gemini import GeminiClient
from service_llm.settings import ServiceLLMSettings

_LABEL = "understudy-key"
_FILE_TYPE = "application/jsonl"
# In one file or in several. While a job runs, rows that are done go into the second; a job that
# ends early may leave nothing else, and one that ends well leaves them next to the first.
_REPLIES = (
    re.compile(r"predictions\.jsonl(-\d+-of-\d+)?"),
    re.compile(r"incremental_predictions\.jsonl(-\d+-of-\d+)?"),
)


class BucketFiles:
    """Files in the folder `batch_uri`; see `BatchFiles`.

    Raises:
        UserError: The default credentials or the proxy cannot be used.
    """

    def __init__(self, client: GeminiClient, settings: ServiceLLMSettings) -> None:
        self._client = client
        self._model = settings.model
        self._folder = (settings.batch_uri or "").rstrip("/")
        with self._explained():
            self._storage = open_storage(settings.vertex_project, client.credentials)

    def check(self) -> None:
        """Write, list, read and delete a small file, as the account has to for a job."""
        uri = f"{self._folder}/understudy-check-{uuid.uuid4().hex}"
        blob = self._blob(uri)
        with self._explained():
            # The client's own retries would last two minutes, and say nothing.
            blob.upload_from_string(b"checked", retry=None)
            try:
                self._blobs(uri)
                blob.download_as_bytes(retry=None)
            finally:
                blob.delete(retry=None)

    def line(self, key: str, body: Mapping[str, object]) -> Mapping[str, object]:
        """Return a request with its key as a label."""
        return {"request": {**body, "labels": {_LABEL: key}}}

    def create(self, text: str, name: str) -> genai_types.BatchJob:
        """Upload the requests unless they are there, and start their job."""
        folder = f"{self._folder}/{name}"
        source = f"{folder}/requests.jsonl"
        with self._explained():
            if not self._blobs(source):
                blob = self._blob(source)
                blob.upload_from_string(text.encode(), content_type=_FILE_TYPE, retry=None)
        return self._client.api.batches.create(
            model=self._model,
            src=source,
            config={"display_name": name, "dest": f"{folder}/replies"},
        )

    def jobs_named(self, name: str) -> genai_types.ListBatchJobsConfig | None:
        """Return a filter by display name."""
        return genai_types.ListBatchJobsConfig(filter=f'display_name="{name}"')

    def outcome(self, operation: Mapping[str, object]) -> Outcome:
        """Return what a job has come to.

        Where it does not say in which folder its output is, that is below where it should go.
        """
        info = fields(operation.get("outputInfo"))
        target = fields(fields(operation.get("outputConfig")).get("gcsDestination"))
        folder = info.get("gcsOutputDirectory") or target.get("outputUriPrefix")
        output = {"responsesFile": folder} if isinstance(folder, str) else {}
        return Outcome(str(operation.get("state") or ""), operation.get("error"), output)

    def download(self, file: str) -> bytes:
        """Return the lines of all files of replies in a folder.

        Raises:
            JobLostError: There is none.
        """
        parts: list[bytes] = []
        with self._explained():
            blobs = self._blobs(f"{file.rstrip('/')}/")
            for pattern in _REPLIES:
                found = [one for one in blobs if pattern.fullmatch(one.name.rpartition("/")[2])]
                parts += [blob.download_as_bytes(retry=None) for blob in found]
                if any(parts):
                    break
        if not parts:
            raise JobLostError(f"its files of replies in {file} are gone")
        return b"\n".join(parts)

    def keyed(self, item: Mapping[str, object]) -> Mapping[str, object]:
        """Return a line with the key that its request is labelled with."""
        labels = fields(fields(item.get("request")).get("labels"))
        return {**item, "key": labels.get(_LABEL)}

    def _blob(self, uri: str) -> storage.Blob:
        bucket, name = split_uri(uri)
        return self._storage.bucket(bucket).blob(name)

    def _blobs(self, uri: str) -> list[storage.Blob]:
        """Return the files whose URIs begin so."""
        bucket, prefix = split_uri(uri)
        return list(self._storage.list_blobs(bucket, prefix=prefix, retry=None))

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        what = f"The folder {self._folder} of batch jobs"
        try:
            with explained_errors(what, self._client.shown):
                yield
        except OutageError as error:
            raise TransientError(str(error)) from error
