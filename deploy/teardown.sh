#!/usr/bin/env bash
# Remove what deploy/setup.sh made, with all artifacts, images and models in it. There is no way back.
#
# Usage:   PROJECT=my-team CONFIRM=my-team deploy/teardown.sh
# Options: REGION, BUCKET, REPOSITORY, TOKEN_SECRET (see deploy/common.sh)
# It leaves the enabled APIs, the records of runs in Vertex AI, and your own roles; they cost nothing.
set -euo pipefail
here="$(dirname "$0")"
# shellcheck source=deploy/common.sh
. "$here/common.sh"

[ "${CONFIRM:-}" = "$PROJECT" ] ||
  stop "This deletes $BUCKET with everything in it. To do it: PROJECT=$PROJECT CONFIRM=$PROJECT deploy/teardown.sh"

remove() { # $1: what for; then the gcloud command
  local what="$1" answer
  shift
  if answer="$(gcloud "$@" 2>&1)"; then
    say "Removed $what"
  else
    say "Not removed: $what. $(tail -n 1 <<<"$answer")"
  fi
}

remove "the bucket $BUCKET" storage rm --recursive "$BUCKET"
remove "the images of $REPOSITORY" artifacts repositories delete "$REPOSITORY" --location="$REGION"
remove "the secret $TOKEN_SECRET" secrets delete "$TOKEN_SECRET"
for role in roles/aiplatform.user roles/logging.logWriter roles/dataflow.developer roles/dataflow.worker; do
  remove "$role of the tasks" projects remove-iam-policy-binding "$PROJECT" \
    --member="serviceAccount:$TASKS_ACCOUNT" --role="$role" --condition=None
done
remove "roles/logging.logWriter of the builds" projects remove-iam-policy-binding "$PROJECT" \
  --member="serviceAccount:$BUILD_ACCOUNT" --role=roles/logging.logWriter --condition=None
remove "the account of the tasks" iam service-accounts delete "$TASKS_ACCOUNT"
remove "the account of the builds" iam service-accounts delete "$BUILD_ACCOUNT"
say "If there are schedules left (python kubeflow_runner.py unschedule): https://console.cloud.google.com/vertex-ai/pipelines/schedules?project=$PROJECT"
