#!/usr/bin/env bash
# Continue a loop in the cloud: a Cloud Run job takes the next step every quarter of an hour.
# `kubeflow_runner.py schedule` starts a first round at set times; this runs a loop to its end.
#
# Usage:   PROJECT=my-team IMAGE=... LOOP=gs://... EMAIL=me@example.com deploy/schedule.sh
# IMAGE    the image that deploy/build.sh printed (vertex.image)
# LOOP     the URI that `run --detach` printed; start the loop with it first
# EMAIL    gets mail when a step fails; BILLING_ACCOUNT and BUDGET (USD a month) add an alert on costs
# Options: REGION (see deploy/common.sh), EVERY="*/15 * * * *", MAX_FAILURES=3
set -euo pipefail
here="$(dirname "$0")"
# shellcheck source=deploy/common.sh
. "$here/common.sh"

: "${IMAGE:?Set IMAGE to vertex.image of your preset}"
: "${LOOP:?Set LOOP to the gs:// URI that the command run --detach has printed}"
: "${EMAIL:?Set EMAIL to the address that gets mail about failures}"
EVERY="${EVERY:-*/15 * * * *}"
MAX_FAILURES="${MAX_FAILURES:-3}"
STEP="understudy-loop"

exists() { gcloud "$@" >/dev/null 2>&1; }

say "Enabling APIs: run cloudscheduler monitoring"
gcloud services enable run.googleapis.com cloudscheduler.googleapis.com monitoring.googleapis.com

say "Making the job $STEP, which runs one step of $LOOP"
# One step is one look: it reads what has finished, starts the next round, and does not wait.
gcloud run jobs deploy "$STEP" --image="$IMAGE" --region="$REGION" \
  --service-account="$TASKS_ACCOUNT" --memory=4Gi --cpu=2 --max-retries=0 --task-timeout=15m \
  --args="run,--from,$LOOP,--detach,--max-failures,$MAX_FAILURES"
gcloud run jobs add-iam-policy-binding "$STEP" --region="$REGION" \
  --member="serviceAccount:$TASKS_ACCOUNT" --role=roles/run.invoker
# The step submits jobs that run as the same account.
gcloud iam service-accounts add-iam-policy-binding "$TASKS_ACCOUNT" \
  --member="serviceAccount:$TASKS_ACCOUNT" --role=roles/iam.serviceAccountUser

say "Taking a step at: $EVERY"
verb=create
! exists scheduler jobs describe "$STEP" --location="$REGION" || verb=update
gcloud scheduler jobs "$verb" http "$STEP" --location="$REGION" --schedule="$EVERY" \
  --http-method=POST --oauth-service-account-email="$TASKS_ACCOUNT" \
  --uri="https://run.googleapis.com/v2/projects/$PROJECT/locations/$REGION/jobs/$STEP:run"

say "Telling $EMAIL of failed steps"
channel="$(gcloud beta monitoring channels create --display-name="$STEP" --type=email \
  --channel-labels="email_address=$EMAIL" --format="value(name)")"
gcloud monitoring policies create --policy-from-file="$here/alert-loop.yaml" \
  --notification-channels="$channel"

if [ -n "${BILLING_ACCOUNT:-}" ]; then
  gcloud billing budgets create --billing-account="$BILLING_ACCOUNT" --display-name="$STEP" \
    --budget-amount="${BUDGET:?Set BUDGET to the USD of a month}USD" \
    --filter-projects="projects/$PROJECT" \
    --threshold-rule=percent=0.5 --threshold-rule=percent=0.9 --threshold-rule=percent=1.0
fi
say "Ready. Look with: python kubeflow_runner.py status --from $LOOP"
