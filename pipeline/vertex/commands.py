"""The commands of `understudy vertex`; each returns the text to print at its end."""

import datetime
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path

from core.errors import UserError
from core.text import Say
from pipeline.config import Config, load_config
from pipeline.vertex.client import Jobs
from pipeline.vertex.cloud import Cloud
from pipeline.vertex.cron import check_cron
from pipeline.vertex.errors import explained
from pipeline.vertex.find_loop import find_loop
from pipeline.vertex.image_rows import check_splits, keep_judged_splits
from pipeline.vertex.loop import DetachedError, VertexLoop, start_or_resume
from pipeline.vertex.parameters import parameter_values
from pipeline.vertex.preflight import check_cloud, check_config
from pipeline.vertex.state import LoopState
from pipeline.vertex.status import describe_result, describe_status


def write_job(*, preset: str, overrides: Sequence[str], output: Path, say: Say) -> str:
    """Write the PipelineJob of a round."""
    # Imported here: TFX takes ten seconds, and most commands need nothing of it.
    from pipeline.vertex.compile import compile_job, describe, job_text

    del say
    config = load_config(preset, overrides)
    check_config(config, config.vertex_settings)
    job = compile_job(config)
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(job_text(job), encoding="utf-8")
    except OSError as error:
        raise UserError(
            f"The job cannot be written to {str(output)!r}: {error.strerror}. "
            "Choose another file with --output FILE."
        ) from error
    return f"{output}\n{describe(job)}"


def submit(*, preset: str, overrides: Sequence[str], parameters: Sequence[str], say: Say) -> str:
    """Compile, upload and start one round."""
    config = load_config(preset, overrides)
    vertex = config.vertex_settings
    values, changed = parameter_values(parameters, config)
    check_config(changed, vertex)
    with explained(vertex):
        cloud, template, name = _uploaded(changed, say)
        labels = _labels(config, "submit")
        job = cloud.jobs(vertex).submit(template, name, values, labels)
    keep_judged_splits(changed)
    return f"Started {job.name}\n{job.console_url}"


def schedule(
    *,
    preset: str,
    overrides: Sequence[str],
    parameters: Sequence[str],
    cron: str,
    max_runs: int | None,
    say: Say,
) -> str:
    """Compile and upload a round, and let Vertex AI start it again and again."""
    config = load_config(preset, overrides)
    vertex = config.vertex_settings
    check_cron(cron)
    _check_at_least_one("--max-runs", max_runs)
    values, changed = parameter_values(parameters, config)
    check_config(changed, vertex)
    if vertex.enable_caching and "://" not in changed.coverage_dir:
        raise UserError(
            f"The coverage dataset {changed.coverage_dir!r} is part of the image and never "
            "changes, so every scheduled round would come from the cache. Put the dataset into a "
            "bucket (coverage_dir=gs://…), or set vertex.enable_caching=false."
        )
    with explained(vertex):
        cloud, template, name = _uploaded(changed, say)
        resource = cloud.jobs(vertex).schedule(
            template,
            name,
            cron,
            parameters=values,
            labels=_labels(config, "schedule"),
            max_runs=max_runs,
        )
    keep_judged_splits(changed)
    console = "https://console.cloud.google.com/vertex-ai/pipelines/schedules"
    return (
        f"Scheduled {resource}\nSee or pause it: {console}?project={vertex.project}\n"
        "Delete it: the command unschedule"
    )


def unschedule(*, preset: str, overrides: Sequence[str], say: Say) -> str:
    """Delete the schedules that the command schedule made for this pipeline."""
    del say
    config = load_config(preset, overrides)
    vertex = config.vertex_settings
    with explained(vertex):
        deleted = default_cloud().jobs(vertex).unschedule(_labels(config, "schedule"))
    if not deleted:
        return f"{vertex.project} has no schedule of {config.name!r} in {vertex.region}."
    return "\n".join(f"Deleted {name}" for name in deleted)


def run(
    *,
    preset: str,
    overrides: Sequence[str],
    loop: str | None,
    loop_uri: str | None,
    detach: bool,
    max_failures: int | None = None,
    say: Say,
) -> str:
    """Run rounds until the loop stops; start it, or take it up where it is."""
    _check_at_least_one("--max-failures", max_failures)
    cloud = default_cloud()
    config, file = find_loop(cloud, preset, overrides, loop, loop_uri)
    vertex = config.vertex_settings
    # Another machine may have no such folder, and this one may have other rows in it by now.
    check_config(config, vertex, reads_rows=loop_uri is None)
    with explained(vertex):
        check_cloud(vertex, cloud.bucket, cloud.session)
        state = start_or_resume(file, config, _compiled_first)
        jobs = cloud.jobs(vertex)
        _check_failures(state, jobs, max_failures)
        say(f"Loop {file.folder}")
        rounds = VertexLoop(file, state, jobs, cloud.bucket, say)
        try:
            result = rounds.run(detach=detach, on_start=lambda: keep_judged_splits(config))
        except DetachedError:
            return f"Submitted jobs keep running. Resume with: run --from {file.folder}"
    return describe_result(result)


def status(
    *, preset: str, overrides: Sequence[str], loop: str | None, loop_uri: str | None, say: Say
) -> str:
    """Show the rounds, coverage and cost of a loop, and the progress of its current round."""
    cloud = default_cloud()
    config, file = find_loop(cloud, preset, overrides, loop, loop_uri)
    vertex = config.vertex_settings
    with explained(vertex):
        state = file.load()
        if state is None:
            return f"No loop was started at {file.folder}."
        rounds = VertexLoop(file, state, cloud.jobs(vertex), cloud.bucket, say)
        return describe_status(state, rounds.current_job(), cloud.bucket)


def _check_at_least_one(flag: str, value: int | None) -> None:
    if value is not None and value < 1:
        raise UserError(f"{flag} {value} would start nothing. Give 1 or more, or leave it out.")


def _check_failures(state: LoopState, jobs: Jobs, limit: int | None) -> None:
    failures = state.attempt - 1
    if limit is None or not failures:
        return
    number, looks = state.next_round()
    if jobs.find(state.job_id(number, looks)):
        return  # somebody has fixed the cause and run once without --max-failures
    failed = jobs.find(state.before_failure().job_id(number, looks))
    if failed and failed.was_cancelled:
        raise UserError(
            f"Round {number} was cancelled: by a task, for a mistake that you can fix or after "
            "vertex.task_hours, or by a person. Fix the cause that the log of the task shows, and "
            f"run once without --max-failures. Logs: {failed.console_url}"
        )
    if failures >= limit:
        raise UserError(
            f"Round {number} has failed {failures} times, and --max-failures is {limit}. Fix the "
            f"cause that the logs show, and run once without --max-failures."
            + (f" Logs: {failed.console_url}" if failed else "")
        )


def _warn_of_budget(config: Config, say: Say) -> None:
    if config.rounds.budget_usd is not None:
        say(
            f"Warning: rounds.budget_usd={config.rounds.budget_usd:g} stops the loop of `run` "
            "only, and not single rounds; service_llm.budget_usd stops each of them."
        )


def default_cloud() -> Cloud:
    """Google Cloud with the application's default credentials."""
    return Cloud()


def _uploaded(config: Config, say: Say) -> tuple[Cloud, bytes, str]:
    """Compile the job of a single round and keep it in the pipeline root.

    Returns:
        The cloud, the job, and a name for its run.
    """
    check_splits(config)
    _warn_of_budget(config, say)
    vertex, cloud = config.vertex_settings, default_cloud()
    check_cloud(vertex, cloud.bucket, cloud.session)
    now = datetime.datetime.now(datetime.UTC)
    # Two that start in one second are two jobs: an id that is taken returns the job that has it.
    name = f"{config.name}-{now:%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
    uri = f"{vertex.root}/jobs/{name}.json"
    template = _compiled(config)
    cloud.bucket.write(uri, template)
    say(f"Uploaded {uri}")
    return cloud, template, name


def _compiled_first(config: Config) -> bytes:
    """Compile the job of a loop that starts: its image was just built."""
    check_splits(config)
    return _compiled(config)


def _compiled(config: Config) -> bytes:
    # Imported here: TFX takes ten seconds, and a loop that is resumed needs nothing of it.
    from pipeline.vertex.compile import compile_job, job_text

    return job_text(compile_job(config)).encode()


def _labels(config: Config, started_by: str) -> Mapping[str, str]:
    return {"pipeline": config.name, "started-by": started_by}
