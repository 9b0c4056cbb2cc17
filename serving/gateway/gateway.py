"""What the requests of a gateway share: connections, breakers, limits, keys, alarms, metrics."""

import random
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import aiohttp

from core.errors import UserError
from serving.address import webhook_of
from serving.capture.captures import Captures
from serving.capture.expiry import Expiry
from serving.gateway.alarms import Alarms, is_from_callers
from serving.gateway.breaker import Breaker
from serving.gateway.breakers import Breakers
from serving.gateway.callers import Caller, Callers, GatewayKey
from serving.gateway.exchange import Exchange
from serving.gateway.faults import Failure, Fault
from serving.gateway.first_byte import FirstByteLimits
from serving.gateway.kept_alarms import KeptAlarms
from serving.gateway.kept_mode import ModeState
from serving.gateway.late_answers import LateAnswers
from serving.gateway.local_model import LocalModel
from serving.gateway.match_shares import MatchShares
from serving.gateway.matching import Match, Matcher, Unmatched
from serving.gateway.metrics import Metrics
from serving.gateway.modes import Modes
from serving.gateway.plan import PRIVATE
from serving.gateway.shadow import Shadow
from serving.gateway.shared_files import SharedFiles
from serving.gateway.task import ServedTask
from serving.gateway.upstream import SERVICE, Upstream, name_of, open_session
from serving.gateway.webhook import Webhook
from serving.mode_settings import MODES
from serving.settings import ServingSettings

NO_TASK = "none"  # the `task` label of requests of no task
_RECENT = 50
_COPYING = ("shadow", "canary")


class Served:
    """The tasks that are served at a time, with their models.

    Args:
        tasks: In the order in which they are matched.
        models: By task name.

    Attributes:
        requests: Requests that were matched with these tasks and are not over: any of them may
            still need a model.
    """

    def __init__(self, tasks: Sequence[ServedTask], models: dict[str, LocalModel]) -> None:
        self.tasks = tuple(tasks)
        self.models = models
        self.matcher = Matcher(tasks)
        self.requests = 0


class Gateway:
    """The shared parts.

    Args:
        settings: With `service` set.
        tasks: In the order in which they are matched.
        state_dir: See `create_app`.
        capture_folders: See `create_app`.
        on_exchange: Called with every exchange.
        clock: Seconds, monotonic, for the breakers.
        rng: Draws the breakers' jitter.

    Raises:
        UserError: The settings lack something.
    """

    def __init__(
        self,
        settings: ServingSettings,
        tasks: Sequence[ServedTask],
        *,
        state_dir: Path | None = None,
        capture_folders: Mapping[str, Path] | None = None,
        on_exchange: Callable[[Exchange], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
        rng: random.Random | None = None,
    ) -> None:
        if settings.service is None:
            raise UserError("serving.service is not set. Give the service LLM as in service_llm.")
        names = [task.name for task in tasks]
        if len(set(names)) < len(names):
            raise UserError(f"Two presets serve a task of the same name: {', '.join(names)}.")
        self.settings = settings
        self.upstream = Upstream(settings.service)
        self.metrics = Metrics()
        url = webhook_of(settings.alert_url)
        self.webhook = Webhook(url, self.session, self.metrics.alerts_dropped.inc) if url else None
        self.alarms = Alarms(self.webhook, self._on_alarm, clock)
        self.kept_alarms = KeptAlarms(state_dir, self.alarms)
        self.breakers = Breakers(settings.breakers, self._on_breaker, clock, rng)
        self.limits = FirstByteLimits(settings.first_byte_seconds, settings.first_byte_bounds)
        self.late = LateAnswers(self.limits)
        self.own_key = GatewayKey(settings.key_env)
        self.callers = Callers(self.own_key, self.upstream.project, self.alarms, state_dir, clock)
        self.served = self.serve(tasks)
        self.shares = MatchShares(
            self.served.tasks,
            on_share=lambda name, share: self.metrics.match_share.labels(name).set(share),
            on_fall=self._on_fall,
        )
        self.recent: deque[Exchange] = deque(maxlen=_RECENT)
        self.counts: dict[str, int] = {}
        self._on_exchange = on_exchange
        folders = self._capture_folders(capture_folders, state_dir)
        self._captures = self._open_captures(folders)
        # What was captured before is to go, too, where nothing is captured any more.
        self.expiry = Expiry(folders.values(), settings.capture.retention_days)
        self.modes = Modes(settings, lambda: self.served.tasks, state_dir)
        self.modes.watch(self._on_mode)
        self.shadow = Shadow(
            settings.shadow,
            self._model_of,
            self._captured,
            self.metrics.shadow_dropped.inc,
        )
        self._session: aiohttp.ClientSession | None = None
        self.files = SharedFiles(self.modes, self.callers.known, self.kept_alarms, self.alarms)

    def session(self) -> aiohttp.ClientSession:
        """Return the HTTP client, opened at its first use in the event loop that uses it."""
        if self._session is None:
            self._session = open_session(self.upstream.keep_alive_seconds)
        return self._session

    async def look_around(self) -> None:
        """Do what no request is to wait for: about once a second, and before a status is shown."""
        self.alarms.age_out()
        self.breakers.age_out()
        self.expiry.look()
        await self.files.look()

    async def close(self) -> None:
        """Close the connections, and write what is still to be kept and captured."""
        await self.files.close()
        await self.late.close()
        if self._captures is not None:
            await self._captures.close()
        if self._session is not None:
            await self._session.close()
            self._session = None

    def serve(self, tasks: Sequence[ServedTask]) -> Served:
        """Return the tasks with a model each; nothing is asked of them yet."""
        settings = self.settings
        models = {
            task.name: LocalModel(
                task, self.session, settings.model, settings.breakers, self._on_model_breaker
            )
            for task in tasks
        }
        return Served(tasks, models)

    def take_up(self, served: Served) -> Served:
        """Serve other models from now on, and return those before."""
        before, self.served = self.served, served
        for model in served.models.values():
            self._on_model_breaker(model)
        return before

    def record_match(self, found: Match | Unmatched) -> None:
        """Count a request for the match share of every task."""
        if isinstance(found, Unmatched):
            self.record_unmatched(found)
        self.shares.record(found, is_private=self.modes.current.mode == PRIVATE)

    def record_unmatched(self, unmatched: Unmatched) -> None:
        """Count a request that the tuned model cannot answer."""
        self.metrics.unmatched.labels(unmatched.reason).inc()

    def record_success(self, caller: Caller, model: str, backend: str) -> None:
        """Say that a backend of the service accepted a caller's key and answered with a model."""
        self.callers.record_success(caller)
        if self.alarms:
            name = f"model:{model}{backend.removeprefix(SERVICE)}"
            self.alarms.set(name, False, f"{name_of(backend)} answers with {model} again")

    def record_failure(self, failure: Failure, caller: Caller, model: str, backend: str) -> None:
        """Raise the alarm for failures of a backend that a person has to look at."""
        if failure.is_of_key:
            self.callers.record_refusal(caller, failure)
        if failure.fault is Fault.RETIRED:
            text = f"{failure.text} for model {model[:60]!r}. Check its name and the base URL"
            self.alarms.set(f"model:{model}{backend.removeprefix(SERVICE)}", True, text)

    def record(self, exchange: Exchange) -> None:
        """Count an exchange."""
        labels = (exchange.task, exchange.protocol, exchange.served_by, exchange.reason)
        self.metrics.requests.labels(*labels).inc()
        self.metrics.seconds.labels(exchange.served_by).observe(exchange.seconds)
        self.counts[exchange.served_by] = self.counts.get(exchange.served_by, 0) + 1
        self.recent.append(exchange._replace(content=None))
        if not (self._is_copied and self.shadow.offer(exchange)):
            self._captured(exchange)
        if self._on_exchange is not None:
            self._on_exchange(exchange)

    @property
    def _is_copied(self) -> bool:
        """Whether pairs are wanted: a canary is judged by the requests that the service answers."""
        return self._captures is not None and self.modes.current.mode in _COPYING

    def _model_of(self, task_name: str) -> LocalModel | None:
        return self.served.models.get(task_name)

    def _captured(self, exchange: Exchange) -> None:
        if self._captures is not None:
            self._captures.put(exchange)

    def _on_fall(self, name: str, is_fallen: bool, text: str) -> None:
        self.alarms.set(f"match_share:{name}", is_fallen, text)

    def _on_mode(self, state: ModeState) -> None:
        for mode in MODES:
            self.metrics.mode.labels(mode).set(int(mode == state.mode))
        percent = state.canary_percent if state.mode == "canary" else 0.0
        self.metrics.canary_percent.set(percent)
        warning = self.modes.warning
        self.alarms.set(
            "mode", bool(warning), warning or "the mode holds, and is kept over restarts"
        )

    def _capture_folders(
        self, folders: Mapping[str, Path] | None, state_dir: Path | None
    ) -> Mapping[str, Path]:
        """Return the folder of each task; none where none is known, and nothing is captured."""
        settings = self.settings.capture
        if folders is not None:
            return folders
        if state_dir is None and settings.folder is None:
            if settings.enabled:
                raise UserError("serving.capture is enabled and has no folder. Set its folder.")
            return {}
        names = [task.name for task in self.served.tasks]
        return dict.fromkeys(names, settings.folder_in(state_dir or Path()))

    def _open_captures(self, folders: Mapping[str, Path]) -> Captures | None:
        settings = self.settings.capture
        if not settings.enabled:
            return None
        return Captures(settings, folders, self.metrics.capture_dropped.inc, self._on_capture)

    def _on_capture(self, problem: str | None) -> None:
        text = f"{problem}; answers continue, and exchanges are dropped" if problem else ""
        self.alarms.set("capture", problem is not None, text or "exchanges are captured again")

    def _on_breaker(self, name: str, breaker: Breaker) -> None:
        is_open = breaker.state != "closed"
        if is_open or name == SERVICE:
            self.metrics.breaker_open.labels(name).set(int(is_open))
        else:
            self.metrics.breaker_open.remove(name)
        is_backend = name.partition(":")[0] == SERVICE
        if is_backend and breaker.state != "ramp":
            text = f"{name_of(name)} fails ({breaker.reason}); requests go to the tuned model"
            self.alarms.set(name, is_open, text if is_open else f"{name_of(name)} answers again")

    def _on_model_breaker(self, model: LocalModel) -> None:
        if self.served.models.get(model.task.name) is not model:
            return  # of a round that is being verified, or retired
        name, state = f"tuned_model:{model.task.name}", model.breaker.state
        self.metrics.breaker_open.labels(name).set(int(state != "closed"))
        if state != "ramp":
            # The breaker's reason may quote what a server said of somebody's prompt.
            text = "the tuned model's server fails" if state == "open" else "it answers again"
            self.alarms.set(name, state == "open", text)

    def _on_alarm(self, name: str, is_raised: bool) -> None:
        if is_raised or not is_from_callers(name):
            self.metrics.alarm.labels(name).set(int(is_raised))
        else:
            self.metrics.alarm.remove(name)  # or every name that a caller ever made up would stay
