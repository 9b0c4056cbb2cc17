"""Who answers first while the service is well; changed at run time, kept over restarts."""

import asyncio
import datetime
import functools
from collections.abc import Callable, Sequence
from pathlib import Path

from core.errors import UserError
from serving.gateway.kept_mode import ExpectedMode, FoundMode, KeptMode, ModeState
from serving.gateway.mode_needs import ModeError, check_mode
from serving.gateway.plan import PRIVATE, Plan, plan
from serving.gateway.task import ServedTask
from serving.mode_settings import MODES, Mode
from serving.settings import ServingSettings

FAILOVER = "failover"
_WALK = "cutover"  # what sets the mode
_WRITE_SECONDS = 5.0  # for a disk that answers; the way back is taken before

# Runs a function in the thread that reads and writes files.
InFileThread = Callable[[Callable[[], str]], "asyncio.Future[str]"]


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
        self._turn = 0  # counts changes: a later one overtakes one whose disk hangs
        self._writing: asyncio.Future[str] | None = None
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
        return plan(self.current, session, has_failover=self._settings.model_failover != "off")

    def change(
        self,
        mode: str,
        canary_percent: float | None = None,
        set_by: str = "serve mode",
        expected: ExpectedMode | None = None,
    ) -> ModeState:
        """Change the mode, from the next request on, and wait for the disk.

        Args:
            mode: One of `MODES`. `failover` is taken even where it cannot be kept; see `warning`.
            canary_percent: For `canary`; None leaves it as it is.
            set_by: What changes it.
            expected: What the mode has to be now; None for any.

        Raises:
            ModeError: It cannot be used, and why.
        """
        state = self._asked_for(mode, canary_percent, set_by, expected)
        return self._settled(state, self._written(state))

    async def change_beside(
        self,
        in_thread: InFileThread,
        mode: str,
        canary_percent: float | None = None,
        set_by: str = "serve mode",
        expected: ExpectedMode | None = None,
    ) -> ModeState:
        """Change the mode as `change` does, on a disk that may hang.

        `failover` is taken before it is written; any other mode once it is.

        Args:
            in_thread: Writes the file; one after the other.
            mode: As in `change`, like what follows.
            canary_percent: For `canary`.
            set_by: What changes it.
            expected: What the mode has to be now.

        Raises:
            ModeError: It cannot be used, and why.
        """
        state = self._asked_for(mode, canary_percent, set_by, expected)
        self._turn += 1
        turn = self._turn
        if state.mode == FAILOVER:
            self._take(state, "")
        write = functools.partial(self._written, state, lambda: turn == self._turn)
        writing = self._writing = in_thread(write)
        await asyncio.wait({writing}, timeout=_WRITE_SECONDS)
        if turn != self._turn:
            raise ModeError(f"The mode was changed to {self.current} in the meantime.")
        if writing.done():
            return self._settled(state, writing.result())
        if state.mode == FAILOVER:
            writing.add_done_callback(functools.partial(self._written_late, state, turn))
        else:
            self._turn += 1  # nor is it to be kept later
        return self._settled(
            state, f"the folder of the mode's file has not answered in {_WRITE_SECONDS:g} s"
        )

    def _written_late(self, state: ModeState, turn: int, writing: "asyncio.Future[str]") -> None:
        if turn == self._turn and not writing.cancelled() and not writing.exception():
            self._settled(state, writing.result())

    def _written(self, state: ModeState, is_wanted: Callable[[], bool] = lambda: True) -> str:
        """Write a mode, and return why it is not kept; in any thread."""
        is_presets = state.mode == self._preset.mode == FAILOVER
        return self._kept.write(state, may_be_preset=is_presets, is_wanted=is_wanted)

    def _settled(self, state: ModeState, problem: str) -> ModeState:
        self._take(state, _unkept(state, problem) if problem else "")
        return state

    def _asked_for(
        self,
        mode: str,
        canary_percent: float | None,
        set_by: str,
        expected: ExpectedMode | None,
    ) -> ModeState:
        """Return the mode that is asked for.

        Raises:
            ModeError: It cannot be used.
        """
        if expected and not self._is(expected):
            by = f", set by {expected.set_by}" if expected.set_by else ""
            raise ModeError(
                f"The mode is {self.current.mode} ({self.current.canary_percent:g} %), set by "
                f"{self.current.set_by}, and was expected to be {expected.mode} "
                f"({expected.canary_percent:g} %{by})."
            )
        known = next((known for known in MODES if known == mode), None)
        if known is None:
            raise ModeError(f"There is no mode {mode!r}; choose one of {', '.join(MODES)}.")
        percent = self.current.canary_percent if canary_percent is None else canary_percent
        if not 0 <= percent <= 100:
            raise ModeError(f"A canary of {percent:g} % is not possible; give 0 to 100.")
        self._check(known, set_by)
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        return ModeState(
            mode=known,
            canary_percent=percent,
            since=now,
            set_by=set_by,
            preset=str(self._preset),
        )

    def look(self) -> FoundMode | None:
        """Read what another gateway has set; may be called in any thread.

        Returns:
            It, for `take_up`; None where nobody has set any.
        """
        is_writing = self._writing is not None and not self._writing.done()
        if is_writing or not self._kept.has_changed():  # what is being written is the later word
            return None
        turn = self._turn
        try:
            return FoundMode(turn, self._kept.read())
        except UserError as error:
            return FoundMode(turn, None, str(error))

    def take_up(self, found: FoundMode) -> None:
        """Take up what another gateway has set; what cannot be used here is a warning."""
        if found.turn != self._turn:  # changed here meanwhile
            return
        try:
            if found.problem:
                raise ModeError(found.problem)
            state = found.state or self._without_file()
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
            back = self._preset.model_copy(update={"mode": FAILOVER})
            return back, f"{error} Until then the gateway is in the mode {FAILOVER}, not {kept}"
        return kept, ""

    def _is(self, expected: ExpectedMode) -> bool:
        now = self.current
        is_mode = (now.mode, now.canary_percent) == (expected.mode, expected.canary_percent)
        return is_mode and expected.set_by in ("", now.set_by)

    def _take(self, state: ModeState, warning: str) -> None:
        self.current, self.warning = state, warning
        for watcher in self._watchers:
            watcher(state)

    def _without_file(self) -> ModeState:
        """Return the mode where the file is gone, as on a full disk: never out of `private`."""
        is_back = self._preset.mode == FAILOVER and self.current.mode != PRIVATE
        return self._preset if is_back else self.current

    def _check(self, mode: Mode, set_by: str = "") -> None:
        check_mode(mode, self._settings, self._tasks(), is_walk=set_by == _WALK)


def _unkept(state: ModeState, problem: str) -> str:
    """Return the warning for a mode that is not kept.

    Raises:
        ModeError: It is not to be taken then.
    """
    if state.mode != FAILOVER:
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
