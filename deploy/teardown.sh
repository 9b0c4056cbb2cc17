#!/usr/bin/env bash
# Remove what deploy/setup.sh made, with all artifacts, images and models in it. There is no way back.
#
# Usage:   PROJECT=my-team CONFIRM=my-team deploy/teardown.sh
# Options: REGION, BUCKET, REPOSITORY, TOKEN_SECRET (see deploy/common.sh)
#          BILLING_ACCOUNT  also remove the budget that deploy/schedule.sh made there
# It first ends the running jobs and deletes the schedules whose pipeline root is in BUCKET. A step of
# the loop (deploy/schedule.sh) goes before them, or it would start the next round.
# It leaves the enabled APIs, the records of runs in Vertex AI, and your own roles; they cost nothing.
set -euo pipefail
here="$(dirname "$0")"
# shellcheck source=deploy/common.sh
. "$here/common.sh"

[ "${CONFIRM:-}" = "$PROJECT" ] ||
  stop "This deletes $BUCKET with everything in it. To do it: PROJECT=$PROJECT CONFIRM=$PROJECT deploy/teardown.sh"

remove "the clock of $STEP" scheduler jobs delete "$STEP" --location="$REGION"
remove "the job $STEP" run jobs delete "$STEP" --region="$REGION"
# Jobs would otherwise run on without their bucket, and cost money.
TOKEN="$(gcloud auth print-access-token)" python3 "$here/end_jobs.py" "$PROJECT" "$REGION" "$BUCKET" ||
  say "Look for what still runs: https://console.cloud.google.com/vertex-ai/pipelines/runs?project=$PROJECT"
remove_alerts
[ -n "${BILLING_ACCOUNT:-}" ] || say "Not looked for: a budget of deploy/schedule.sh. To remove it: BILLING_ACCOUNT=…"
remove "the bucket $BUCKET" storage rm --recursive "$BUCKET"
remove "the images of $REPOSITORY" artifacts repositories delete "$REPOSITORY" --location="$REGION"
remove "the secret $TOKEN_SECRET" secrets delete "$TOKEN_SECRET"
for role in roles/aiplatform.user roles/logging.logWriter roles/dataflow.developer roles/dataflow.worker; do
  remove "$role of the tasks" projects remove-iam-policy-binding "$PROJECT" \
    --member="serviceAccount:$TASKS_ACCOUNT" --role="$role" --condition=None
done
for role in roles/aiplatform.user roles/logging.logWriter; do
  remove "$role of the builds" projects remove-iam-policy-binding "$PROJECT" \
    --member="serviceAccount:$BUILD_ACCOUNT" --role="$role" --condition=None
done
remove "the account of the tasks" iam service-accounts delete "$TASKS_ACCOUNT"
remove "the account of the builds" iam service-accounts delete "$BUILD_ACCOUNT"
say "To look for what is left: https://console.cloud.google.com/vertex-ai/pipelines/schedules?project=$PROJECT"
