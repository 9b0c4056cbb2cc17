"""Runs the scripts of deploy/ with a `gcloud` that only writes down what it was asked."""

import os
import subprocess
from pathlib import Path

from tests.pipeline.vertex import gcloud

REPOSITORY = Path(__file__).parents[3]
DEPLOY = REPOSITORY / "deploy"

# Describing and listing tell whether the project is empty; the account is the one signed in.
GCLOUD = """#!/bin/sh
printf '%s\\037' "$@" >>"$GCLOUD_LOG"
echo >>"$GCLOUD_LOG"
case "$*" in
  "auth print-access-token") echo a-token ;;
  "beta monitoring channels create "*) echo projects/my-team/notificationChannels/1 ;;
  "monitoring policies list "*)
    [ "$GCLOUD_MISSING" = 1 ] || echo projects/my-team/alertPolicies/2 ;;
  "beta monitoring channels list "*)
    [ "$GCLOUD_MISSING" = 1 ] || echo projects/my-team/notificationChannels/3 ;;
  "billing budgets list "*) [ "$GCLOUD_MISSING" = 1 ] || echo billingAccounts/0-1-2/budgets/4 ;;
  "config get account") echo me@example.com ;;
  *" describe "*) exit "$GCLOUD_MISSING" ;;
  *--data-file=-) cat >>"$GCLOUD_LOG.secret" ;;
esac
if [ -n "${GCLOUD_REFUSES:-}" ]; then
  case "$*" in $GCLOUD_REFUSES) echo "ERROR: (gcloud) refused by a test" >&2; exit 1 ;; esac
fi
"""
SLEEP = """#!/bin/sh
echo "$1" >>"$GCLOUD_LOG.slept"
"""


class Scripts:
    """Runs a script; returns the finished process and the commands that `gcloud` received.

    Each command is one that the real `gcloud` accepts, or the test fails.

    Attributes:
        secret: File with what was given to `gcloud` by standard input.
        slept: File with the seconds that scripts have waited.
    """

    def __init__(self, folder):
        for name, text in {"gcloud": GCLOUD, "sleep": SLEEP}.items():
            (folder / name).write_text(text)
            (folder / name).chmod(0o755)
        self._folder = folder
        self._log = folder / "log"
        self.secret = folder / "log.secret"
        self.slept = folder / "log.slept"

    def __call__(self, script, *arguments, empty=True, **variables):
        self._log.unlink(missing_ok=True)
        environment = {
            "PATH": f"{self._folder}:{os.environ['PATH']}",
            "GCLOUD_LOG": str(self._log),
            "GCLOUD_MISSING": "1" if empty else "0",
            "ENDPOINT": "http://127.0.0.1:9",  # nothing listens there
            **variables,
        }
        process = subprocess.run(
            [DEPLOY / script, *arguments],
            env=environment,
            text=True,
            capture_output=True,
            check=False,
        )
        lines = self._log.read_text().splitlines() if self._log.exists() else []
        commands = [line.split("\037")[:-1] for line in lines]
        for command in commands:
            gcloud.check(command)
        return process, [" ".join(command) for command in commands]
