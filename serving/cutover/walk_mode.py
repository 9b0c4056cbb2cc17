"""The gateway's mode as a walk sets it, and never where somebody else has set it since."""

from collections.abc import Mapping
from typing import Any, Protocol

from core.errors import UserError
from core.reports.cutover import CutoverReport
from serving.running import RefusedError

CANARY, FAILOVER, PRIVATE = "canary", "failover", "private"
_SET_BY = "cutover"
_GO_BACK_FIRST = "The mode is unchanged. To walk again, first go back (understudy cutover --back)."
_LEAVE_PRIVATE = (
    "The mode is unchanged, so that no personal data goes to the service. `understudy cutover "
    "--back` ends the walk and leaves the mode as it is."
)

Mode = Mapping[str, Any]


class Gateway(Protocol):
    """A running gateway; `serving.running.RunningGateway`."""

    def status(self) -> dict[str, Any]:
        """Return what `/understudy/status` says."""

    def post(self, name: str, values: dict[str, object]) -> dict[str, Any]:
        """Ask for something."""


class WalkedMode:
    """The mode of a gateway.

    Args:
        gateway: The gateway.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def found(self, report: CutoverReport) -> Mode:
        """Return the mode that a walk begins or is resumed with.

        Args:
            report: The walk so far.

        Raises:
            UserError: Somebody else has set it since the walk began, or it is `private`.
            GatewayAwayError: No gateway answers.
        """
        mode: Mode = self._gateway.status()["mode"]
        if _is_anothers(mode, report):
            raise UserError(_other(mode, report.percent))
        if mode["mode"] == PRIVATE:
            raise UserError(
                "The gateway's mode is private, and a canary would send personal data to the "
                "service. If that is allowed, leave it first: understudy serve mode failover."
            )
        return mode

    def checked(self, percent: float) -> dict[str, Any]:
        """Return the gateway's status where its mode is the walk's.

        Args:
            percent: Share of the present step.

        Raises:
            UserError: It is another one.
            GatewayAwayError: No gateway answers.
        """
        status = self._gateway.status()
        mode = status["mode"]
        # Whoever sets the very share of this step wants it to stay.
        if any(mode[name] != value for name, value in own_mode(percent).items()):
            raise UserError(_other(mode, percent))
        return status

    def set(self, mode: str, percent: float, expected: Mode | None = None) -> Mode:
        """Set the gateway's mode, unless it is `private`; return what it is now.

        Args:
            mode: The mode.
            percent: Share of the canary.
            expected: What the mode has to be now; None for any but `private`, which stays.

        Raises:
            UserError: The gateway does not do it.
        """
        values: dict[str, object] = {"mode": mode, "canary_percent": percent, "set_by": _SET_BY}
        if expected is None:
            values["keeps_private"] = True  # asked of the gateway: it may be set just now
        else:
            values["expected"] = dict(expected)
        try:
            return self._gateway.post("mode", values)
        except RefusedError as error:
            raise UserError(f"The gateway kept its mode: {error}") from None


def own_mode(percent: float) -> Mode:
    """Return the mode that a walk has set.

    Args:
        percent: Share of its step.
    """
    return {"mode": CANARY, "canary_percent": percent, "set_by": _SET_BY}


def _is_anothers(mode: Mode, report: CutoverReport) -> bool:
    """Whether somebody else has set the mode since the walk began."""
    if mode["set_by"] == _SET_BY:
        return False
    if report.events:
        return True
    # It was stopped before its first step: the mode may still be the one from before.
    before = report.before
    return before is not None and any(
        mode[name] != value for name, value in before.model_dump().items()
    )


def _other(mode: Mode, percent: float) -> str:
    return (
        f"The gateway's mode is {mode['mode']} ({mode['canary_percent']:g} %), set by "
        f"{mode['set_by']}, not the canary of {percent:g} % that this walk has set."
        f" {_LEAVE_PRIVATE if mode['mode'] == PRIVATE else _GO_BACK_FIRST}"
    )
