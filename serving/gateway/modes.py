"""Who answers first while the service is well; changed at run time, kept over restarts."""

import contextlib
import datetime
import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import pydantic
from pydantic import Field

from core.errors import UserError
from serving.gateway.task import ServedTask
from serving.gateway.watched_file import WatchedFile, stamp_of
from serving.mode_settings import MODES, Mode
from serving.settings import ServingSettings

_FILE = "mode.json"
_BACK = "failover"
_WALK = "cutover"  # what sets the mode
_BUCKETS = 10_000  # a canary's share is held to a hundredth of a percent

CANARY, MODEL, UNSURE, PRIVATE, MODEL_FAILED = (
    "canary",
    "mode:model",
    "unsure",
    "private",
    "model_failed",
)


class ModeState(pydantic.BaseModel, frozen=True, extra="forbid"):
    """The mode of a gateway.

    Attributes:
        mode: The mode.
        canary_percent: Share of the task's requests that the tuned model answers in `canary`.
        since: When it was set, ISO 8601; empty where it is the preset's.
        set_by: What set it: `preset`, `serve mode` or `cutover`.
    """

    mode: Mode
    canary_percent: float = Field(ge=0, le=100)
    since: str = ""
    set_by: str = Field("preset", max_length=200)


class Plan(NamedTuple):
    """Who answers a request.

    Attributes:
        first: Who is asked first.
        reason: Why the tuned model answers, where it is asked first.
        is_alone: Whether nobody else may answer where the first one cannot.
        must_be_sure: Whether an answer of low confidence is the service's to give.
    """

    first: Literal["service", "model"]
    reason: str = ""
    is_alone: bool = False
    must_be_sure: bool = False


class ExpectedMode(NamedTuple):
    """What the mode has to be when it is changed.

    Attributes:
        mode: The mode.
        canary_percent: Its share.
    """

    mode: str
    canary_percent: float


_BY_SERVICE = Plan("service")


class ModeError(UserError):
    """The mode cannot be set; the one before stays."""


class Modes:
    """The mode of a gateway.

    Args:
        settings: The mode to begin with, and what the others need.
        tasks: Return the tasks that are served now.
        state_dir: Keeps what was set at run time, for all gateways that share it; None forgets it
            with the process.

    Attributes:
        current: The mode now.
        warning: Why a restart would forget it; empty where it is kept.

    Raises:
        UserError: The mode cannot be used with the settings, or what was kept is damaged.
    """

    def __init__(
        self,
        settings: ServingSettings,
        tasks: Callable[[], Sequence[ServedTask]],
        state_dir: Path | None,
    ) -> None:
        self._settings = settings
        self._tasks = tasks
        self._file = state_dir / _FILE if state_dir else None
        self._watched = WatchedFile(self._file)
        self._watchers: list[Callable[[ModeState], None]] = []
        self._preset = ModeState(mode=settings.mode, canary_percent=settings.canary_percent)
        self.current = self._kept() or self._preset
        self.warning = ""
        self._check(self.current.mode)

    @property
    def is_service_off(self) -> bool:
        """Whether nothing goes to the service."""
        return self.current.mode == "model" and self._settings.model_failover == "off"

    def plan(self, session: str) -> Plan:
        """Return who answers a request of a task.

        Args:
            session: Stands for the user or the conversation; the same one has the same canary.
        """
        mode = self.current.mode
        if mode == "model":
            return Plan("model", MODEL, is_alone=self._settings.model_failover == "off")
        if mode == "cascade":
            return Plan("model", "confident", must_be_sure=True)
        if mode == "canary" and in_canary(session, self.current.canary_percent):
            return Plan("model", CANARY)
        return _BY_SERVICE

    def change(
        self,
        mode: str,
        canary_percent: float | None = None,
        set_by: str = "serve mode",
        expected: ExpectedMode | None = None,
    ) -> ModeState:
        """Change the mode, from the next request on.

        Args:
            mode: One of `MODES`. `failover` is taken even where it cannot be kept; see `warning`.
            canary_percent: For `canary`; None leaves it as it is.
            set_by: What changes it.
            expected: What the mode has to be now; None for any.

        Raises:
            ModeError: It cannot be used, and why.
        """
        if expected and expected != (self.current.mode, self.current.canary_percent):
            raise ModeError(
                f"The mode is {self.current.mode} ({self.current.canary_percent:g} %), set by "
                f"{self.current.set_by}, and was expected to be {expected.mode} "
                f"({expected.canary_percent:g} %)."
            )
        known = next((known for known in MODES if known == mode), None)
        if known is None:
            raise ModeError(f"There is no mode {mode!r}; choose one of {', '.join(MODES)}.")
        percent = self.current.canary_percent if canary_percent is None else canary_percent
        if not 0 <= percent <= 100:
            raise ModeError(f"A canary of {percent:g} % is not possible; give 0 to 100.")
        self._check(known, set_by)
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        state = ModeState(mode=known, canary_percent=percent, since=now, set_by=set_by)
        try:
            self._keep(state)
            warning = ""
        except OSError as error:
            warning = self._unkept(state, error)
        self._take(state, warning)
        return state

    def is_outdated(self) -> bool:
        """Whether another gateway has set the mode since; may be called in any thread."""
        return self._watched.has_changed()

    def refresh(self) -> None:
        """Take up what another gateway has set; what cannot be used here is a warning."""
        if not self.is_outdated():
            return
        try:
            state = self._kept() or self._without_file()
            self._check(state.mode)
        except UserError as error:
            self._take(self.current, f"{error} This gateway stays in the mode {self.current.mode}")
        else:
            self._take(state, "")

    def watch(self, watcher: Callable[[ModeState], None]) -> None:
        """Call with the mode now, and at every change."""
        self._watchers.append(watcher)
        watcher(self.current)

    def _take(self, state: ModeState, warning: str) -> None:
        self.current, self.warning = state, warning
        for watcher in self._watchers:
            watcher(state)

    def _without_file(self) -> ModeState:
        """Return the mode where the file is gone, as on a full disk: never out of `private`."""
        is_back = self._preset.mode == _BACK and self.current.mode != PRIVATE
        return self._preset if is_back else self.current

    def _check(self, mode: Mode, set_by: str = "") -> None:
        settings = self._settings
        if mode == "shadow" and not settings.capture.enabled:
            raise ModeError(
                "The mode 'shadow' needs captured exchanges, which `understudy verdict` judges. "
                "Set serving.capture to true."
            )
        if mode == "canary" and set_by == _WALK and not settings.capture.enabled:
            raise ModeError(
                "A walk is gated by captured exchanges, and the gateway captures none: start it "
                "with serving.capture.enabled=true."
            )
        tasks = self._tasks()
        if mode == "canary" and set_by == _WALK and len(tasks) > 1:
            raise ModeError(
                "A mode is that of all tasks, and a walk is gated by the answers to one; the "
                f"gateway serves {', '.join(task.name for task in tasks)}. Start a gateway of its "
                "own for the preset that is to walk (understudy serve --preset P --port N), and "
                "send its application there."
            )
        unknown = [task.name for task in tasks if task.min_confidence is None]
        if mode == "cascade" and unknown:
            raise ModeError(
                f"The mode 'cascade' needs a threshold of confidence for {', '.join(unknown)}. Set "
                "serving.confidence.enabled to true, and run `understudy confidence` once."
            )
        if mode == "private":
            _check_detectors()

    def _kept(self) -> ModeState | None:
        if self._file is None:
            return None
        self._watched.note(stamp_of(self._file))
        if not self._file.exists():
            return None
        try:
            return ModeState.model_validate_json(self._file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            # Not the preset's instead: `private` must not become another mode by itself.
            raise UserError(
                f"{str(self._file)!r}, which keeps the gateway's mode, is damaged. Delete it to "
                f"start with serving.mode ({self._settings.mode})."
            ) from None

    def _keep(self, state: ModeState) -> None:
        if self._file is None:
            return
        part = self._file.with_suffix(f".{os.getpid()}.part")
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            part.write_text(state.model_dump_json(indent=1) + "\n", encoding="utf-8")
            stamp = stamp_of(part)
            part.replace(self._file)
            self._watched.note(stamp)
        except OSError:
            with contextlib.suppress(OSError):
                part.unlink()
            if not state.mode == self._settings.mode == _BACK:
                raise
            self._file.unlink(missing_ok=True)  # a full disk allows it, and the preset says it, too
            self._watched.note(None)

    def _unkept(self, state: ModeState, error: OSError) -> str:
        """Return the warning for a mode that is not kept.

        Raises:
            ModeError: It is not to be taken then.
        """
        problem = f"{str(self._file)!r} cannot be written ({error.strerror})"
        if state.mode != _BACK:
            raise ModeError(
                f"{problem}, and a mode that a restart would forget is not set. Free space, or "
                "make the folder writable."
            ) from error
        # The way to the service must not depend on a disk.
        return (
            f"{problem}: the mode is {state.mode} until the gateway restarts, and not after, nor "
            "does another gateway of this folder take it up. Free space, or make the folder "
            "writable, and set the mode again"
        )


def in_canary(session: str, percent: float) -> bool:
    """Whether a session is one of a canary's: the same at every request, and at higher percentages.

    Args:
        session: Stands for the user or the conversation.
        percent: Of all sessions, 0 to 100.
    """
    digest = hashlib.blake2b(session.encode(), digest_size=8, person=b"canary").digest()
    return int.from_bytes(digest) % _BUCKETS < percent * _BUCKETS / 100


def _check_detectors() -> None:
    try:
        import phonenumbers  # noqa: F401
        import stdnum  # noqa: F401
    except ImportError as error:
        raise ModeError(
            f"The mode 'private' needs the package {error.name}, which finds personal data. "
            "Install phonenumbers and python-stdnum."
        ) from error
