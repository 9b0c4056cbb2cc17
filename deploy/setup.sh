#!/usr/bin/env bash
# Make an empty Google Cloud project ready for the pipeline. Running it again changes nothing more.
#
# Usage:   PROJECT=my-team HF_TOKEN=... deploy/setup.sh
# Options: REGION, BUCKET, REPOSITORY, TOKEN_SECRET (see deploy/common.sh)
#          DATAFLOW=1       also prepare Dataflow
#          SUBMITTER=...    who may start runs, as user:NAME@EXAMPLE.COM (default: yourself)
# The project needs a billing account, and you need the role Owner (or the administrator roles of
# IAM, service usage, storage, Artifact Registry and Secret Manager) while this script runs.
set -euo pipefail
here="$(dirname "$0")"
# shellcheck source=deploy/common.sh
. "$here/common.sh"

SUBMITTER="${SUBMITTER:-user:$(gcloud config get account 2>/dev/null)}"
[ "$SUBMITTER" != "user:" ] || stop "gcloud is not signed in. Run: gcloud auth login"

exists() { gcloud "$@" >/dev/null 2>&1; }

enable_apis() {
  local apis=(aiplatform artifactregistry cloudbuild compute iam logging secretmanager storage)
  [ -z "${DATAFLOW:-}" ] || apis+=(dataflow)
  say "Enabling APIs: ${apis[*]}"
  gcloud services enable "${apis[@]/%/.googleapis.com}"
}

make_bucket() {
  exists storage buckets describe "$BUCKET" && return
  say "Making the bucket $BUCKET"
  gcloud storage buckets create "$BUCKET" --location="$REGION" \
    --uniform-bucket-level-access --public-access-prevention
}

make_repository() {
  exists artifacts repositories describe "$REPOSITORY" --location="$REGION" && return
  say "Making the image repository $REPOSITORY"
  gcloud artifacts repositories create "$REPOSITORY" --location="$REGION" \
    --repository-format=docker --description="Images of the Understudy pipeline"
}

make_account() { # $1: address, $2: what for
  exists iam service-accounts describe "$1" && return
  say "Making the service account $1"
  gcloud iam service-accounts create "${1%%@*}" --display-name="$2"
}

make_secret() {
  exists secrets describe "$TOKEN_SECRET" ||
    gcloud secrets create "$TOKEN_SECRET" --replication-policy=automatic
  if [ -n "${HF_TOKEN:-}" ] && ! exists secrets versions describe 1 --secret="$TOKEN_SECRET"; then
    say "Storing HF_TOKEN in Secret Manager"
    # By standard input: an argument would be seen in the list of processes.
    printf '%s' "$HF_TOKEN" | gcloud secrets versions add "$TOKEN_SECRET" --data-file=-
  fi
}

# Adding a binding that exists already changes nothing.
on_project() { gcloud projects add-iam-policy-binding "$PROJECT" --member="$1" --role="$2" --condition=None --quiet >/dev/null; }
on_bucket() { gcloud storage buckets add-iam-policy-binding "$BUCKET" --member="$1" --role="$2" >/dev/null; }
on_repository() { gcloud artifacts repositories add-iam-policy-binding "$REPOSITORY" --location="$REGION" --member="$1" --role="$2" >/dev/null; }
on_account() { gcloud iam service-accounts add-iam-policy-binding "$1" --member="$2" --role="$3" >/dev/null; }
on_secret() { gcloud secrets add-iam-policy-binding "$TOKEN_SECRET" --member="$1" --role="$2" >/dev/null; }

grant_tasks() { # read and write artifacts, ask Gemini, pull the image, read the token; nothing else
  local tasks="serviceAccount:$TASKS_ACCOUNT"
  on_project "$tasks" roles/aiplatform.user
  on_project "$tasks" roles/logging.logWriter
  on_bucket "$tasks" roles/storage.objectUser
  on_repository "$tasks" roles/artifactregistry.reader
  on_secret "$tasks" roles/secretmanager.secretAccessor
  if [ -n "${DATAFLOW:-}" ]; then
    on_project "$tasks" roles/dataflow.developer
    on_project "$tasks" roles/dataflow.worker
    on_account "$TASKS_ACCOUNT" "$tasks" roles/iam.serviceAccountUser
  fi
}

grant_build() {
  local build="serviceAccount:$BUILD_ACCOUNT"
  on_project "$build" roles/logging.logWriter
  on_bucket "$build" roles/storage.objectUser
  on_repository "$build" roles/artifactregistry.writer
}

grant_submitter() {
  on_project "$SUBMITTER" roles/aiplatform.user
  on_project "$SUBMITTER" roles/cloudbuild.builds.editor
  on_bucket "$SUBMITTER" roles/storage.objectUser
  on_repository "$SUBMITTER" roles/artifactregistry.reader
  on_account "$TASKS_ACCOUNT" "$SUBMITTER" roles/iam.serviceAccountUser
  on_account "$BUILD_ACCOUNT" "$SUBMITTER" roles/iam.serviceAccountUser
}

enable_apis
make_bucket
make_repository
make_account "$TASKS_ACCOUNT" "Understudy: tasks of the pipeline"
make_account "$BUILD_ACCOUNT" "Understudy: builds of the image"
make_secret
grant_tasks
grant_build
grant_submitter

exists secrets versions describe 1 --secret="$TOKEN_SECRET" ||
  say "Still to do: printf %s \"\$HF_TOKEN\" | gcloud secrets versions add $TOKEN_SECRET --project=$PROJECT --data-file=-"
say "Ready. Next: PROJECT=$PROJECT REGION=$REGION deploy/build.sh"
