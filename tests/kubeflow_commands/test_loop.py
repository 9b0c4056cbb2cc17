"""Round after round, from one machine or from several."""

import itertools

import pytest

import kubeflow_runner
from tests.kubeflow_commands.jobs import RATES, finish, state


def test_run_goes_from_round_to_round_until_the_gate_is_passed(run, cloud):
    cloud.on_create = lambda job: finish(cloud, job)
    status, told, errors = run("run")
    assert (status, errors) == (0, "")
    jobs = [job["runtimeConfig"]["parameterValues"] for job in cloud.jobs.values()]
    assert [job["round"] for job in jobs] == [1, 2, 3]
    assert jobs[0]["history_uri"] == jobs[0]["report_uri"] == ""
    first, second = itertools.islice(cloud.jobs, 2)
    assert jobs[1]["history_uri"] == f"gs://team-bucket/pipelines/{first}/SynthDataGen/synthetic"
    assert jobs[2]["report_uri"] == f"gs://team-bucket/pipelines/{second}/LLMEvaluator/report"
    assert "Stopped after round 3: the threshold is reached." in told
    assert "coverage rate 81.0 %" in told
    assert "1.50 USD" in told
    assert state(cloud)["stop_reason"] == "threshold_met"
    _, told, _ = run("run")
    assert len(cloud.jobs) == 3, "a loop that has stopped submits nothing"
    assert "Stopped after round 3" in told


@pytest.mark.parametrize("start", ["scratch", "best"])
def test_a_warm_started_loop_gives_every_round_the_best_model_so_far(
    run, cloud, monkeypatch, start
):
    monkeypatch.setitem(RATES, 2, 30.0)
    cloud.on_create = lambda job: finish(cloud, job)
    status, _, errors = run("run", rounds__warm_start=start)
    assert (status, errors) == (0, "")
    uris = [
        job["runtimeConfig"]["parameterValues"]["warm_start_uri"] for job in cloud.jobs.values()
    ]
    best = f"gs://team-bucket/pipelines/{next(iter(cloud.jobs))}/Trainer/model"
    assert uris == (["", best, best] if start == "best" else [""] * 3)


def test_a_detached_loop_is_taken_up_by_another_machine_that_knows_only_its_uri(run, cloud, capsys):
    status, told, _ = run("run", "--detach")
    assert status == 0
    uri = "gs://team-bucket/pipelines/loops/support-triage"
    assert f"run --from {uri}" in told
    [first] = cloud.jobs
    assert kubeflow_runner.main(["status", "--from", uri]) == 0
    assert "Round 1 of at most 5: running" in capsys.readouterr().out
    finish(cloud, cloud.jobs[first])
    cloud.on_create = lambda job: finish(cloud, job)
    assert kubeflow_runner.main(["run", "--from", uri]) == 0
    told = capsys.readouterr().out
    assert "Round 1: coverage rate 40.0 %" in told
    assert "Stopped after round 3" in told
    assert len(cloud.jobs) == 3
    assert kubeflow_runner.main(["status", "--from", uri]) == 0
    told = capsys.readouterr().out
    for line in ("Round 2: coverage rate 62.5 %, not blessed, 0.50 USD", "Round 3:", "1.50 USD"):
        assert line in told, told


@pytest.mark.parametrize("command", ["run", "status"])
@pytest.mark.parametrize(
    "arguments",
    [["--set", "rounds.max_rounds=9"], ["--preset", "gemini-vertex"], ["--loop", "other"]],
)
def test_what_a_loop_named_by_its_uri_would_not_heed_is_refused(cloud, capsys, command, arguments):
    uri = "gs://team-bucket/pipelines/loops/support-triage"
    assert kubeflow_runner.main([command, "--from", uri, *arguments]) == 2
    assert f"{' '.join(arguments)} cannot be used with --from" in capsys.readouterr().err
    assert not cloud.requests


def test_a_variable_that_a_loop_would_not_heed_is_refused(run, cloud, monkeypatch, capsys):
    run("run", "--detach")
    monkeypatch.setenv("UNDERSTUDY__ROUNDS__MAX_ROUNDS", "9")
    uri = "gs://team-bucket/pipelines/loops/support-triage"
    assert kubeflow_runner.main(["run", "--detach", "--from", uri]) == 2
    message = "The variable UNDERSTUDY__ROUNDS__MAX_ROUNDS cannot be used with --from"
    assert message in capsys.readouterr().err
    assert len(cloud.jobs) == 1


def test_a_loop_named_by_its_uri_needs_no_rows_on_this_machine(
    run, cloud, tmp_path, monkeypatch, capsys
):
    assert run("run", "--detach")[0] == 0
    monkeypatch.chdir(tmp_path)
    uri = "gs://team-bucket/pipelines/loops/support-triage"
    assert kubeflow_runner.main(["run", "--detach", "--from", uri]) == 0
    assert "Submitted jobs keep running" in capsys.readouterr().out


def test_status_shows_what_a_round_has_cost_and_found_before_it_is_done(run, cloud):
    cloud.on_create = lambda job: finish(cloud, job)
    status, _, _ = run("run", rounds__max_rounds=1)
    assert status == 0
    cloud.on_create = lambda job: None
    limits = {"rounds__max_rounds": 3, "rounds__budget_usd": 4}
    run("run", "--detach", **limits)
    _, second = cloud.jobs.values()

    def told_after(*names):
        finish(cloud, second)
        second["state"] = "PIPELINE_STATE_RUNNING"
        details = second["jobDetail"]["taskDetails"]
        for detail in details:
            detail["startTime"] = "2026-01-01T00:00:00Z"
            if detail["taskName"] in names:
                detail["endTime"] = "2026-01-01T00:03:30Z"
            else:
                detail["state"] = "RUNNING"
        return run("status", **limits)[1]

    told = told_after()
    assert "Round 1: coverage rate 40.0 %, not blessed, 0.50 USD" in told
    assert "Round 2 of at most 3: running\n" in told
    assert "  SynthDataGen: running\n" in told
    assert "Cost of the service LLM: 0.50 USD of 4.00 USD" in told
    told = told_after("SynthDataGen")
    assert "Round 2 of at most 3: running, 0.25 USD so far\n" in told
    assert "  SynthDataGen: succeeded, 3.5 min\n" in told
    assert "Cost of the service LLM: 0.75 USD of 4.00 USD" in told
    told = told_after("SynthDataGen", "Trainer", "LLMEvaluator")
    assert "Round 2 of at most 3: running, coverage rate 62.5 %, 0.50 USD so far\n" in told


def test_a_round_that_was_submitted_before_the_machine_died_is_not_paid_for_twice(run, cloud):
    run("run", "--detach")
    [job_id] = cloud.jobs
    assert state(cloud)["rounds"] == [], "nothing but the id tells of the job"
    finish(cloud, cloud.jobs[job_id])
    cloud.on_create = lambda job: finish(cloud, job)
    run("run")
    rounds = [j["runtimeConfig"]["parameterValues"]["round"] for j in cloud.jobs.values()]
    assert rounds == [1, 2, 3]


def test_a_loop_refuses_another_configuration_but_takes_more_rounds(run, cloud):
    cloud.on_create = lambda job: finish(cloud, job)
    run("run", rounds__max_rounds=1)
    status, _, errors = run("run", rounds__max_rounds=1, training__epochs=7)
    assert status == 2
    assert "training.epochs" in errors
    assert "--loop NAME" in errors
    status, told, _ = run("run", rounds__max_rounds=2)
    assert status == 0
    assert "Stopped after round 2: rounds.max_rounds (2) is reached" in told
    run("run", "--loop", "other", rounds__max_rounds=1, training__epochs=7)
    assert "pipelines/loops/other/state.json" in cloud.buckets["team-bucket"]


def test_a_state_whose_answer_was_lost_on_the_way_is_not_somebody_elses(run, cloud):
    name = "pipelines/loops/support-triage/state.json"
    answer = cloud.answer

    def answer_twice(method, path, query, body):
        status, headers, content = answer(method, path, query, body)
        if path.startswith("/upload") and name.encode() in body[1] and status == 200:
            return answer(method, path, query, body)
        return status, headers, content

    cloud.answer = answer_twice
    cloud.on_create = lambda job: finish(cloud, job)
    status, told, errors = run("run")
    assert (status, errors) == (0, "")
    assert "Stopped after round 3" in told


def test_two_processes_do_not_go_on_with_one_loop(run, cloud):
    def somebody_else_is_faster(job):
        finish(cloud, job)
        cloud.generations["team-bucket", "pipelines/loops/support-triage/state.json"] += 1

    cloud.on_create = somebody_else_is_faster
    status, _, errors = run("run")
    assert status == 2
    assert "Another process is running the loop" in errors
