"""A cut-over that is kept in a file, and its way back, which needs neither captures nor a judge."""

from pathlib import Path

from core.errors import UserError
from core.reports.cutover import BACK, CutoverEvent, CutoverReport
from core.text import Say
from core.whole_file import replace_file
from serving.cutover.kept_walk import Now, stamp, utc_now
from serving.cutover.walk_mode import FAILOVER, PRIVATE, Gateway, Mode, WalkedMode


class KeptWalk:
    """One walk; its file is written at every change, and another process may resume it.

    Args:
        report: Where it begins, or where another process stopped.
        file: Where the report is kept.
        gateway: The gateway.
        say: Prints a line.
        now: Tells the time.
    """

    def __init__(
        self,
        report: CutoverReport,
        file: Path,
        *,
        gateway: Gateway,
        say: Say,
        now: Now = utc_now,
    ) -> None:
        self._file = file
        self._mode = WalkedMode(gateway)
        self._say = say
        self._now = now
        self.report = report

    def go_back(self, why: str, expected: Mode | None = None) -> None:
        """Give every request back to the service, whether or not a file can be written.

        In the mode `private` the walk ends and the mode stays: what is personal is not to go there.

        Args:
            why: In words.
            expected: What the mode has to be; None goes back from any but `private`.

        Raises:
            UserError: The mode is another one by now, or no gateway answers.
        """
        mode = self._mode.set(FAILOVER, 0, expected)
        if mode.get("mode") == PRIVATE:
            self._end(f"the walk has ended, and the mode stays private: {why}")
            return
        self._end_back(why)
        if warning := mode.get("warning"):
            self._say(f"Warning: {warning}.")

    def _end_back(self, why: str) -> None:
        self._end(f"back to the service: {why}")

    def _end(self, text: str) -> None:
        self.report = self.report.model_copy(update={"status": BACK})
        try:
            self._note(text)
        except UserError as error:  # the gateway is back all the same
            self._say(f"{text[0].upper()}{text[1:]}. Warning: {error}")

    def _note(self, text: str) -> None:
        event = CutoverEvent(time=stamp(self._now()), percent=self.report.percent, text=text)
        self.report = self.report.model_copy(update={"events": (*self.report.events, event)})
        self._keep()
        self._say(f"{event.percent:g} %: {text}.")

    def _keep(self) -> None:
        try:
            replace_file(self._file, self.report.to_json())
        except OSError as error:
            raise UserError(
                f"The walk's state file {str(self._file)!r} cannot be written "
                f"({error.strerror}). Free space, or make the folder writable, and run the same "
                "command: it resumes the walk from the gateway's mode."
            ) from error
