"""The mode that was set at run time, in a file that the gateways of one folder share."""

import contextlib
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pydantic
from pydantic import Field

from core.errors import UserError
from serving.gateway.watched_file import WatchedFile, stamp_of
from serving.mode_settings import Mode

_FILE = "mode.json"


class ModeState(pydantic.BaseModel, frozen=True, extra="forbid"):
    """The mode of a gateway.

    Attributes:
        mode: The mode.
        canary_percent: Share of the task's requests that the tuned model answers in `canary`.
        since: When it was set, ISO 8601; empty where it is the preset's.
        set_by: What set it: `preset`, `serve mode` or `cutover`.
        preset: The preset's mode at that time, in words; empty where it is not known.
    """

    mode: Mode
    canary_percent: float = Field(ge=0, le=100)
    since: str = ""
    set_by: str = Field("preset", max_length=200)
    preset: str = ""

    def __str__(self) -> str:
        """Return the mode, and the share of a canary."""
        return f"canary of {self.canary_percent:g} %" if self.mode == "canary" else self.mode


class ExpectedMode(NamedTuple):
    """What the mode has to be when it is changed.

    Attributes:
        mode: The mode.
        canary_percent: Its share.
        set_by: What has set it; empty for anything.
    """

    mode: str
    canary_percent: float
    set_by: str = ""


class FoundMode(NamedTuple):
    """What another gateway has set.

    Attributes:
        turn: How often this one had changed its mode before it looked.
        state: The mode; None where the file is gone.
        problem: Why it cannot be read; empty where it can.
    """

    turn: int
    state: ModeState | None
    problem: str = ""


class KeptMode:
    """The file.

    Args:
        folder: Where it lies; None keeps nothing.
        preset: The preset's mode, which holds where nothing is kept.
    """

    def __init__(self, folder: Path | None, preset: ModeState) -> None:
        self._file = folder / _FILE if folder else None
        self._preset = preset
        self._watched = WatchedFile(self._file)

    def has_changed(self) -> bool:
        """Whether another gateway has written since; may be called in any thread."""
        return self._watched.has_changed()

    def read(self) -> ModeState | None:
        """Return the mode; None where none is kept.

        Raises:
            UserError: The file cannot be read, or is damaged.
        """
        if self._file is None:
            return None
        try:
            stamp = stamp_of(self._file)
            state = None
            if stamp is not None:
                state = ModeState.model_validate_json(self._file.read_text(encoding="utf-8"))
        except OSError as error:
            raise UserError(
                f"The gateway's mode file {str(self._file)!r} cannot be read "
                f"({error.strerror}). Make it readable."
            ) from None
        except ValueError:
            self._watched.note(stamp)
            # Not the preset's instead: `private` must not become another mode by itself.
            raise UserError(
                f"The gateway's mode file {str(self._file)!r} is damaged. Delete it to "
                f"start with serving.mode ({self._preset.mode})."
            ) from None
        self._watched.note(stamp)
        return state

    def write(
        self,
        state: ModeState,
        *,
        may_be_preset: bool,
        is_wanted: Callable[[], bool] = lambda: True,
    ) -> str:
        """Keep a mode; may be called in any thread.

        Args:
            state: The mode.
            may_be_preset: Whether no file is as good, as the preset says the same.
            is_wanted: Whether it is still to be kept, on a disk that took its time.

        Returns:
            Why it is not kept; empty where it is.
        """
        if self._file is None:
            return ""
        # In containers every gateway has the same process ID.
        part = self._file.with_suffix(f".{secrets.token_hex(8)}.part")
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            part.write_text(state.model_dump_json(indent=1) + "\n", encoding="utf-8")
            stamp = stamp_of(part)
            if not is_wanted():
                part.unlink()
                return f"{str(self._file)!r} was to keep another mode meanwhile"
            part.replace(self._file)
            self._watched.note(stamp)
        except OSError as error:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
                if may_be_preset:  # a full disk allows it
                    self._file.unlink(missing_ok=True)
                    self._watched.note(None)
                    return ""
            if state.mode == "failover":  # taken all the same; what lies there is no later word
                with contextlib.suppress(OSError):
                    self._watched.note(stamp_of(self._file))
            return f"{str(self._file)!r} cannot be written ({error.strerror})"
        return ""
