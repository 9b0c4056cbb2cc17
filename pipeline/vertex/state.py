"""The state of a loop on Vertex AI: a file in the pipeline root, so that any machine can resume."""

import secrets

import pydantic

from core.errors import UserError
from core.reports.loop import StopReason
from pipeline.config import Config
from pipeline.rounds import LoopResult, RoundResult
from pipeline.vertex.bucket import NEW, Bucket, ChangedError

STATE_FILE = "state.json"
JOB_FILE = "job.json"
_FOLDER = "loops"


class LoopState(pydantic.BaseModel, frozen=True, extra="forbid"):
    """All that a machine needs to know to resume a loop.

    The job of a round is found by its id, which follows from this state; so no record says which
    job is in flight, and none can be wrong after a kill.

    Attributes:
        loop_id: Makes the ids of this loop's jobs different from those of any other loop.
        config: What the loop was started with.
        rounds: Those that have finished.
        attempt: Number of the job for the round after them, from 1; grows when a job fails.
        stop_reason: Why the loop stopped; None while it continues.
    """

    loop_id: str
    config: Config
    rounds: tuple[RoundResult, ...] = ()
    attempt: int = 1
    stop_reason: StopReason | None = None

    @classmethod
    def new(cls, config: Config) -> "LoopState":
        """Return a loop that has not started."""
        return cls(loop_id=secrets.token_hex(3), config=config)

    def job_id(self, round: int, looks: int = 0) -> str:
        """Return the id of the PipelineJob that runs a round, or its last look after `looks`."""
        last = f"-look{looks}" if looks else ""
        return f"{self.config.name}-{self.loop_id}-r{round}{last}-a{self.attempt}"

    def next_round(self) -> tuple[int, int]:
        """Return the round that comes next, and the `looks` of its job.

        A loop that has stopped may still judge its best round on the split test.
        """
        if self.stop_reason is None:
            return len(self.rounds) + 1, 0
        return LoopResult(self.rounds, self.stop_reason).best.round, len(self.rounds)

    def before_failure(self) -> "LoopState":
        """Return the state as it was before the last job failed."""
        return self.model_copy(update={"attempt": self.attempt - 1})

    def after(self, loop: LoopResult) -> "LoopState":
        """Return the state once a round has finished."""
        return self.model_copy(
            update={"rounds": loop.rounds, "stop_reason": loop.stop_reason, "attempt": 1}
        )

    def after_failure(self) -> "LoopState":
        """Return the state once a job has failed: the next one gets another id."""
        return self.model_copy(update={"attempt": self.attempt + 1})


class StateFile:
    """Reads and writes the state of one loop.

    Args:
        folder: `gs://` URI of the loop.
        bucket: Reads and writes it.
    """

    def __init__(self, folder: str, bucket: Bucket) -> None:
        self.folder = folder.rstrip("/")
        self._bucket = bucket
        self._generation = NEW

    def load_job(self) -> bytes:
        """Return the compiled job that all rounds of the loop share.

        Raises:
            UserError: It was removed.
        """
        uri = f"{self.folder}/{JOB_FILE}"
        content = self._bucket.read(uri)
        if content is None:
            raise UserError(f"{uri} was removed. Start another loop with --loop NAME.")
        return content.data

    def save_job(self, job: bytes) -> None:
        """Keep the compiled job."""
        self._bucket.write(f"{self.folder}/{JOB_FILE}", job)

    def load(self) -> LoopState | None:
        """Return the state; None where the loop was not started.

        Raises:
            UserError: The file holds something else.
        """
        uri = f"{self.folder}/{STATE_FILE}"
        content = self._bucket.read(uri)
        if content is None:
            return None
        self._generation = content.generation
        try:
            return LoopState.model_validate_json(content.data)
        except pydantic.ValidationError as error:
            raise UserError(
                f"{uri} was written by another version of this program ({error.error_count()} "
                "fields do not fit). Continue with that version, or choose another --loop NAME."
            ) from error

    def save(self, state: LoopState) -> None:
        """Write the state.

        Raises:
            UserError: Another process has written it since `load`.
        """
        uri = f"{self.folder}/{STATE_FILE}"
        data = state.model_dump_json(indent=1).encode()
        try:
            self._generation = self._bucket.write(uri, data, generation=self._generation)
        except ChangedError as error:
            written = self._bucket.read(uri)
            if written and written.data == data:
                # The client had sent it twice, because the first answer was lost.
                self._generation = written.generation
                return
            raise UserError(
                f"Another process is running the loop at {self.folder}. "
                "Look with the command status; run again when the other one has ended."
            ) from error


def loop_folder(pipeline_root: str, name: str) -> str:
    """Where the loop with a name keeps its state."""
    return f"{pipeline_root}/{_FOLDER}/{name}"
