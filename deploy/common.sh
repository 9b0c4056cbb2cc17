# Names that deploy/*.sh share; sourced by them. Set PROJECT, and any other that is to differ.
# shellcheck shell=bash disable=SC2034
: "${PROJECT:?Set PROJECT to the id of your Google Cloud project, for example: PROJECT=my-team deploy/setup.sh}"
REGION="${REGION:-europe-west4}"
BUCKET="${BUCKET:-gs://$PROJECT-understudy}"
REPOSITORY="${REPOSITORY:-understudy}"
TASKS_ACCOUNT="understudy-tasks@$PROJECT.iam.gserviceaccount.com"
BUILD_ACCOUNT="understudy-build@$PROJECT.iam.gserviceaccount.com"
TOKEN_SECRET="${TOKEN_SECRET:-understudy-hf-token}"
STEP="understudy-loop"                   # what deploy/schedule.sh makes
BUDGET_NAME="understudy-loop of $PROJECT" # a billing account has the budgets of several projects
export CLOUDSDK_CORE_PROJECT="$PROJECT" CLOUDSDK_CORE_DISABLE_PROMPTS=1

say() { printf '%s\n' "$*" >&2; }

stop() {
  say "error: $*"
  exit 2
}

remove() { # $1: what for; then the gcloud command
  local what="$1" answer
  shift
  if answer="$(gcloud "$@" 2>&1)"; then
    say "Removed $what"
  else
    say "Not removed: $what. $(tail -n 1 <<<"$answer")"
  fi
}

remove_listed() { # $1: what for; $2: the gcloud group that lists and deletes it; then flags of the list
  local what="$1" group="$2" names name
  shift 2
  # shellcheck disable=SC2086  # words of a command
  names="$(gcloud $group list --format="value(name)" "$@" 2>/dev/null)" ||
    say "Not removed: $what. They could not be listed: gcloud $group list"
  for name in $names; do
    # shellcheck disable=SC2086
    remove "$what" $group delete "$name"
  done
}

remove_alerts() { # of deploy/schedule.sh; the channel last, because the others name it
  remove_listed "the alert of $STEP" "monitoring policies" --filter="displayName=\"$STEP failed\""
  [ -z "${BILLING_ACCOUNT:-}" ] ||
    remove_listed "the budget $BUDGET_NAME" "billing budgets" \
      --billing-account="$BILLING_ACCOUNT" --filter="displayName=\"$BUDGET_NAME\""
  remove_listed "the address of the alerts" "beta monitoring channels" --filter="displayName=\"$STEP\""
}

command -v gcloud >/dev/null || stop "gcloud was not found. Install the Google Cloud CLI: https://cloud.google.com/sdk/docs/install"
