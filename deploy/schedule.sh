#!/usr/bin/env bash
# Continue a loop in the cloud: a Cloud Run job takes the next step every quarter of an hour.
# `kubeflow_runner.py schedule` starts a first round at set times; this runs a loop to its end.
#
# Usage:   PROJECT=my-team IMAGE=... LOOP=gs://... EMAIL=me@example.com deploy/schedule.sh
# IMAGE    the image that deploy/build.sh printed (vertex.image)
# LOOP     the URI that `run --detach` printed; start the loop with it first
# EMAIL    gets mail when a step fails
# Options: REGION (see deploy/common.sh), EVERY="*/15 * * * *", MAX_FAILURES=3
#          BILLING_ACCOUNT=… BUDGET=200USD also mails about the project's costs of a month; the
#          currency is that of the billing account
# Running it again replaces what it made: one loop at a time is carried on.
set -euo pipefail
here="$(dirname "$0")"
# shellcheck source=deploy/common.sh
. "$here/common.sh"

: "${IMAGE:?Set IMAGE to vertex.image of your preset}"
: "${LOOP:?Set LOOP to the gs:// URI that the command run --detach has printed}"
: "${EMAIL:?Set EMAIL to the address that gets mail about failures}"
EVERY="${EVERY:-*/15 * * * *}"
MAX_FAILURES="${MAX_FAILURES:-3}"
[[ "${BILLING_ACCOUNT:+set}" = "${BUDGET:+set}" ]] ||
  stop "A budget needs both: BILLING_ACCOUNT=0X0X0X-0X0X0X-0X0X0X BUDGET=200USD"
[[ "${BUDGET:-1USD}" =~ ^[0-9]+[A-Z]{3}$ ]] ||
  stop "BUDGET is '$BUDGET'. Give a whole amount and the currency of the billing account, such as 200USD."

exists() { gcloud "$@" >/dev/null 2>&1; }

apis=(run cloudscheduler monitoring)
[ -z "${BILLING_ACCOUNT:-}" ] || apis+=(billingbudgets)
say "Enabling APIs: ${apis[*]}"
gcloud services enable "${apis[@]/%/.googleapis.com}"

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
remove_alerts # of an earlier run of this script
channel="$(gcloud beta monitoring channels create --display-name="$STEP" --type=email \
  --channel-labels="email_address=$EMAIL" --format="value(name)")"
gcloud monitoring policies create --policy-from-file="$here/alert-loop.yaml" \
  --notification-channels="$channel"

if [ -n "${BILLING_ACCOUNT:-}" ]; then
  say "Telling $EMAIL of costs: $BUDGET a month"
  gcloud billing budgets create --billing-account="$BILLING_ACCOUNT" --display-name="$BUDGET_NAME" \
    --budget-amount="$BUDGET" --filter-projects="projects/$PROJECT" \
    --threshold-rule=percent=0.5 --threshold-rule=percent=0.9 --threshold-rule=percent=1.0 \
    --notifications-rule-monitoring-notification-channels="$channel"
fi
say "Ready. Look with: python kubeflow_runner.py status --from $LOOP"
say "When the loop has stopped: gcloud scheduler jobs delete $STEP --location=$REGION --project=$PROJECT"
