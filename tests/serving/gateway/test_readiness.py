"""Why a gateway is not ready is said now and then, and kept as it is now."""

from types import SimpleNamespace

from serving.gateway import jobs as jobs_module
from serving.gateway.jobs import Jobs
from serving.gateway.pages import Readiness


def test_a_reason_that_changes_all_the_time_is_said_once_a_minute(monkeypatch):
    now, told, readiness = [1000.0], [], Readiness()
    monkeypatch.setattr(jobs_module, "time", SimpleNamespace(monotonic=lambda: now[0]))
    jobs = Jobs(SimpleNamespace(), readiness, told.append)
    for half_second in range(240):
        problem = f"answered {503 if half_second % 2 else 500}"
        jobs._set_problem(problem)
        assert readiness.problem == problem
        now[0] += 0.5
    assert told == ["answered 500", "answered 500"]
