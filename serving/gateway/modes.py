"""Who answers first while the service is well; changed at run time, kept over restarts."""

import datetime
import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from core.errors import UserError
from serving.gateway.kept_mode import KeptMode, ModeState
from serving.gateway.task import ServedTask
from serving.mode_settings import MODES, Mode
from serving.settings import ServingSettings

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
        warning: Why a restart would forget it, or why it is not the one that was kept; empty where
            all is well.

    Raises:
        UserError: The preset's mode cannot be used with the settings, nor `private` that was kept;
            or what was kept is damaged.
    """

    def __init__(
        self,
        settings: ServingSettings,
        tasks: Callable[[], Sequence[ServedTask]],
        state_dir: Path | None,
    ) -> None:
        self._settings = settings
        self._tasks = tasks
        self._watchers: list[Callable[[ModeState], None]] = []
        preset = ModeState(mode=settings.mode, canary_percent=settings.canary_percent)
        self._preset = preset
        self._kept = KeptMode(state_dir, preset)
        self.current, self.warning = self._at_start()

    @property
    def said(self) -> str:
        """The mode and who has set it, as a sentence."""
        now, preset = self.current, self._preset
        if now == preset:
            return f"The mode is {now}, the preset's."
        by = f", set by {now.set_by} at {now.since}" if now.since else ""
        return f"The mode is {now}{by}; the preset's is {preset}."

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
        state = ModeState(
            mode=known,
            canary_percent=percent,
            since=now,
            set_by=set_by,
            preset=str(self._preset),
        )
        is_presets = known == self._preset.mode == _BACK
        problem = self._kept.write(state, may_be_preset=is_presets)
        self._take(state, _unkept(state, problem) if problem else "")
        return state

    def is_outdated(self) -> bool:
        """Whether another gateway has set the mode since; may be called in any thread."""
        return self._kept.has_changed()

    def refresh(self) -> None:
        """Take up what another gateway has set; what cannot be used here is a warning."""
        if not self.is_outdated():
            return
        try:
            state = self._kept.read() or self._without_file()
            self._check(state.mode)
        except UserError as error:
            self._take(self.current, f"{error} This gateway stays in the mode {self.current.mode}")
        else:
            self._take(state, "")

    def watch(self, watcher: Callable[[ModeState], None]) -> None:
        """Call with the mode now, and at every change."""
        self._watchers.append(watcher)
        watcher(self.current)

    def _at_start(self) -> tuple[ModeState, str]:
        """Return the mode to begin with, and why it is not the one that was kept."""
        kept = self._kept.read()
        # An edited preset is the later word.
        if kept is None or (kept.preset and kept.preset != str(self._preset)):
            self._check(self._preset.mode)
            return self._preset, ""
        try:
            self._check(kept.mode)
        except ModeError as error:
            if kept.mode == PRIVATE:
                raise
            # The safety net has to come back, if only as that.
            back = self._preset.model_copy(update={"mode": _BACK})
            return back, f"{error} Until then the gateway is in the mode {_BACK}, not {kept}"
        return kept, ""

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


def _unkept(state: ModeState, problem: str) -> str:
    """Return the warning for a mode that is not kept.

    Raises:
        ModeError: It is not to be taken then.
    """
    if state.mode != _BACK:
        raise ModeError(
            f"{problem}, and a mode that a restart would forget is not set. Free space, or make "
            "the folder writable."
        )
    # The way to the service must not depend on a disk.
    return (
        f"{problem}: the mode is {state.mode} until the gateway restarts, and not after, nor does "
        "another gateway of this folder take it up. Free space, or make the folder writable, and "
        "set the mode again"
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
