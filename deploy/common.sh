# Names that deploy/*.sh share; sourced by them. Set PROJECT, and any other that is to differ.
# shellcheck shell=bash disable=SC2034
: "${PROJECT:?Set PROJECT to the id of your Google Cloud project, for example: PROJECT=my-team deploy/setup.sh}"
REGION="${REGION:-europe-west4}"
BUCKET="${BUCKET:-gs://$PROJECT-understudy}"
REPOSITORY="${REPOSITORY:-understudy}"
TASKS_ACCOUNT="understudy-tasks@$PROJECT.iam.gserviceaccount.com"
BUILD_ACCOUNT="understudy-build@$PROJECT.iam.gserviceaccount.com"
TOKEN_SECRET="${TOKEN_SECRET:-understudy-hf-token}"
export CLOUDSDK_CORE_PROJECT="$PROJECT" CLOUDSDK_CORE_DISABLE_PROMPTS=1

say() { printf '%s\n' "$*" >&2; }

stop() {
  say "error: $*"
  exit 2
}

command -v gcloud >/dev/null || stop "gcloud was not found. Install the Google Cloud CLI: https://cloud.google.com/sdk/docs/install"
