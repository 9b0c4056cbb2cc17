"""What `check` says of a task before anything is sent."""

import datetime
import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import yaml

from components.hf_pusher.base_terms import base_of, repository_name, terms_warnings
from components.hf_pusher.credentials import describe_push
from core.conversation import has_turns, user_turns
from core.errors import UserError
from core.records import HOLDOUT_SPLIT, SEED_SPLIT, TEST_SPLIT, CoverageRow
from core.terminal import WIDTH
from judging.judged_rows import judged_rows
from judging.rates import wilson
from pipeline.check_lengths import length_lines, model_view
from pipeline.check_logged import logged_lines
from pipeline.check_privacy import privacy_lines
from pipeline.check_prompts import raise_if_unused
from pipeline.config import Config
from pipeline.lengths import RowLengths, measure, raise_if_cut
from pipeline.local.standin_server import STANDIN_URL_VARIABLE
from pipeline.logged import logged_rows
from pipeline.placeholders import raise_if_to_replace
from service_llm.secrets import check_environment
from service_llm.served import shutdown_warning
from service_llm.terms import terms_line
from task.coverage.persisted import persist_splits
from task.coverage.reader import read_dataset
from task.coverage.redaction import redacted_rows
from task.form import describe_fields, infer_form, what_labels_lack

_FEW_HOLDOUT_ROWS = 40  # the 95 % interval of 80 % is wider than 24 points
_ASSUMED_RATE = 0.8
_LISTED = 20  # rows named in a list; the others are counted
_LISTED_TAGS = 12
_YAML_WIDTH = WIDTH - 28  # lines end after the word that passes it, and stand indented


class Checked(NamedTuple):
    """What was understood of a task.

    Attributes:
        text: A line for each finding, of any length.
        rows: As a run reads them.
        lengths: Of the rows, in tokens.
    """

    text: str
    rows: Sequence[CoverageRow]
    lengths: RowLengths

    def raise_if_cut(self, config: Config) -> None:
        """Refuse limits of tokens that the rows do not fit, as a run does.

        Raises:
            UserError: It names the rows.
        """
        raise_if_cut(config, self.rows, self.lengths)


def check_task(config: Config, listed: int | None = _LISTED) -> str:
    """Return the text of `checked_task`."""
    return checked_task(config, listed).text


def checked_task(config: Config, listed: int | None = _LISTED) -> Checked:
    """Report what was understood of a task: its rows, their form, and where they would go.

    Args:
        config: The configuration of a run.
        listed: Rows that a list names at most; None for all.

    Raises:
        UserError: A row is bad or still to be replaced.
    """
    persist_splits(config.coverage_dir, test_percent=config.splits.test_percent)
    rows, merged = read_dataset(config.coverage_dir)
    raise_if_to_replace(config, rows)
    raise_if_unused(config, rows)
    logged = logged_rows(config)
    personal = privacy_lines([*rows, *logged], config, listed)
    rows = redacted_rows(rows, config.privacy)  # as the run reads them
    lengths = measure(config, rows)
    paragraphs = [
        *_row_lines(rows, config.evaluator.max_prompts),
        *_answer_lines(rows, merged),
        *_form_lines(rows, config, listed),
        *length_lines(config, rows, lengths),
        *(logged_lines(config, rows, lengths, logged, listed) if logged else []),
        *model_view(config, rows, lengths),
        *personal,
        *_push_lines(config, len(logged)),
        terms_line(config.service_llm),
        *_model_warnings(config),
    ]
    return Checked("\n".join(paragraphs), rows, lengths)


def _push_lines(config: Config, logged: int) -> list[str]:
    """Describe the push, and what the base model's terms ask for in it."""
    settings = config.push_settings
    base = base_of(settings, config.training.preset, "")
    name = repository_name(settings, config.task.name, base)
    return [describe_push(settings, name, logged=logged), *terms_warnings(settings, base)]


def missing(config: Config, to_set: Sequence[str] = ()) -> list[str]:
    """Name what a run needs besides the rows: settings, and keys in the environment.

    Args:
        config: The configuration of a run.
        to_set: Settings that only the user knows and has not given yet.

    Returns:
        A sentence for each.
    """
    lines = []
    if to_set:
        lines.append(f"Set {', '.join(to_set)} before a run: only you know them.")
    for settings in config.services.values():
        # The stand-in is started by the run.
        is_standin = settings.base_url == f"env:{STANDIN_URL_VARIABLE}"
        if is_standin and STANDIN_URL_VARIABLE not in os.environ:
            continue
        try:
            check_environment(settings)
        except UserError as error:
            lines.append(str(error))
    return list(dict.fromkeys(lines))


def _model_warnings(config: Config) -> list[str]:
    """Warn of models that are shut down, or will be."""
    today = datetime.datetime.now(datetime.UTC).date()
    warned = (shutdown_warning(settings, today) for settings in config.services.values())
    return list(dict.fromkeys(f"Warning: {warning}" for warning in warned if warning))


def _row_lines(rows: Sequence[CoverageRow], max_prompts: int | None) -> list[str]:
    """Describe the rows and their splits, and how precise the coverage rate will be."""
    splits = Counter(row.split for row in rows)
    judged = Counter(row.split for row in judged_rows(rows, max_prompts))
    held = splits[HOLDOUT_SPLIT]
    test = f", {splits[TEST_SPLIT]:,} test" if splits[TEST_SPLIT] else ""
    tags = Counter(tag for row in rows for tag in row.tags)
    named = ", ".join(f"{tag} ({n})" for tag, n in tags.most_common(_LISTED_TAGS))
    more = f" and {len(tags) - _LISTED_TAGS} more" if len(tags) > _LISTED_TAGS else ""
    interval = wilson(_ASSUMED_RATE, judged[HOLDOUT_SPLIT])
    width = 100 * (interval.high - interval.low)
    lines = [
        f"{len(rows):,} pairs: {splits[SEED_SPLIT]:,} seed, {held:,} holdout{test}; "
        f"tags: {named or 'none'}{more}.",
        f"A coverage rate of {100 * _ASSUMED_RATE:.0f} % on the holdout will have a 95 % interval "
        f"of {width:.0f} points.",
    ]
    if judged != splits:
        parts = ", ".join(f"{judged[s]:,} of {splits[s]:,} {s}" for s in splits)
        lines.append(
            f"Answered and judged are {parts}, balanced over tags (evaluator.max_prompts)."
        )
    if splits[TEST_SPLIT]:
        lines.append(
            f"{_rows(judged[TEST_SPLIT])} of the split test are judged once, with the round that "
            "is kept."
        )
    if several := sum(has_turns(row.prompt) for row in rows):
        longest = max(user_turns(row.prompt) for row in rows)
        lines.append(
            f"{several:,} pairs are conversations; the longest has {longest} turns of the user."
        )
    if held < _FEW_HOLDOUT_ROWS:
        lines.append(
            f"Only {held} holdout {'row' if held == 1 else 'rows'}: use at least "
            f"{_FEW_HOLDOUT_ROWS} (about {2 * _FEW_HOLDOUT_ROWS} pairs in all) for a meaningful "
            "interval."
        )
    return lines


def _answer_lines(rows: Sequence[CoverageRow], merged: int) -> list[str]:
    """Say which prompts have several right answers, and which rows gave them."""
    several = sum(bool(row.references) for row in rows)
    lines = []
    if merged:
        lines.append(
            f"{_rows(merged)} repeated the prompt of another row: merged with it, the first answer "
            "as the output and the others as references."
        )
    if several:
        prompts = "1 prompt has" if several == 1 else f"{several:,} prompts have"
        lines.append(f"{prompts} several right answers; a response counts by the best match.")
    return lines


def _form_lines(rows: Sequence[CoverageRow], config: Config, listed: int | None) -> list[str]:
    """Return the form that the seeds show, and the rows that do not have it."""
    given = config.task.output_schema
    seeds = [row.output for row in rows if row.split == SEED_SPLIT]
    form = infer_form(seeds, given)
    if form.schema is None:
        lines = [f"Form of the outputs: {form.describe()}."]
        if not form.labels and (lacking := what_labels_lack(seeds)):
            lines.append(lacking)
    else:
        origin = "given (task.output_schema)" if given is not None else "inferred from the seeds"
        lines = [f"Form of the outputs: JSON, {origin}: {describe_fields(form.schema)}."]
    if form.schema is not None and given is None:
        lines += ["To fix the form, put this into the preset:", "  task:", "    output_schema:"]
        lines += [f"{' ' * 6}{line}" for line in _yaml(form.schema).strip().split("\n")]
    misfits = form.misfits([row.output for row in rows])
    if misfits:
        verb = "does" if len(misfits) == 1 else "do"
        lines.append(f"{_rows(len(misfits))} that {verb} not fit the form:")
        lines += [f"  {rows[misfit.row].id}: {misfit.problem}" for misfit in misfits[:listed]]
    if more := len(misfits) - len(misfits[:listed]):
        lines.append(f"  … and {more} more; understudy check --all lists every one")
    return lines


def _yaml(schema: Mapping[str, Any]) -> str:
    # Through JSON: YAML would name a value that appears twice, and refer to it.
    plain = json.loads(json.dumps(schema))
    return yaml.safe_dump(
        plain, width=_YAML_WIDTH, sort_keys=False, allow_unicode=True, default_flow_style=None
    )


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"
