#!/usr/bin/env bash
# Make an empty Google Cloud project ready for the pipeline. Running it again changes nothing more.
#
# Usage:   PROJECT=my-team HF_TOKEN=... deploy/setup.sh
# Options: REGION, BUCKET, REPOSITORY, TOKEN_SECRET (see deploy/common.sh)
#          DATAFLOW=1       also prepare Dataflow (vertex.dataflow_image)
#          SPOT=1           also prepare spot machines (vertex.spot_machine_type)
#          TAG_BUILDS=1     also let builds start runs (deploy/ci/tag.yaml)
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

grant() { # what was made a moment ago is not known everywhere at once
  local attempt
  for attempt in 1 2 3 4 5; do
    gcloud "$@" >/dev/null 2>&1 && return
    say "Not granted yet; attempt $((attempt + 1)) of 6 in 10 seconds"
    sleep 10
  done
  gcloud "$@" >/dev/null || stop "The command above was refused: gcloud $*"
}

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

# Adding a binding that exists already changes nothing. "$@": --member=..., --role=...
on_project() { grant projects add-iam-policy-binding "$PROJECT" --condition=None "$@"; }
on_bucket() { grant storage buckets add-iam-policy-binding "$BUCKET" "$@"; }
on_repository() { grant artifacts repositories add-iam-policy-binding "$REPOSITORY" --location="$REGION" "$@"; }
on_secret() { grant secrets add-iam-policy-binding "$TOKEN_SECRET" "$@"; }
on_account() { grant iam service-accounts add-iam-policy-binding "$@"; } # $1: the account

grant_tasks() { # read and write artifacts, ask Gemini, pull the image, read the token; nothing else
  local tasks="serviceAccount:$TASKS_ACCOUNT"
  on_project --member="$tasks" --role=roles/aiplatform.user
  on_project --member="$tasks" --role=roles/logging.logWriter
  on_bucket --member="$tasks" --role=roles/storage.objectUser
  on_bucket --member="$tasks" --role=roles/storage.legacyBucketReader # TensorFlow asks for the bucket
  on_repository --member="$tasks" --role=roles/artifactregistry.reader
  on_secret --member="$tasks" --role=roles/secretmanager.secretAccessor
  if [ -n "${DATAFLOW:-}" ]; then
    on_project --member="$tasks" --role=roles/dataflow.developer
    on_project --member="$tasks" --role=roles/dataflow.worker
  fi
  # Jobs that a task starts run as the account that the task runs as.
  [ -z "${DATAFLOW:-}${SPOT:-}" ] ||
    on_account "$TASKS_ACCOUNT" --member="$tasks" --role=roles/iam.serviceAccountUser
}

grant_build() {
  local build="serviceAccount:$BUILD_ACCOUNT"
  on_project --member="$build" --role=roles/logging.logWriter
  on_bucket --member="$build" --role=roles/storage.objectUser
  on_repository --member="$build" --role=roles/artifactregistry.writer
  if [ -n "${TAG_BUILDS:-}" ]; then # a build starts runs as a person does
    on_project --member="$build" --role=roles/aiplatform.user
    on_bucket --member="$build" --role=roles/storage.legacyBucketReader
    on_account "$TASKS_ACCOUNT" --member="$build" --role=roles/iam.serviceAccountUser
  fi
}

grant_submitter() {
  on_project --member="$SUBMITTER" --role=roles/aiplatform.user
  on_project --member="$SUBMITTER" --role=roles/cloudbuild.builds.editor
  on_project --member="$SUBMITTER" --role=roles/serviceusage.serviceUsageConsumer
  on_project --member="$SUBMITTER" --role=roles/logging.viewer
  on_bucket --member="$SUBMITTER" --role=roles/storage.objectUser
  on_bucket --member="$SUBMITTER" --role=roles/storage.legacyBucketReader # gcloud builds asks for it
  on_repository --member="$SUBMITTER" --role=roles/artifactregistry.reader
  on_account "$TASKS_ACCOUNT" --member="$SUBMITTER" --role=roles/iam.serviceAccountUser
  on_account "$BUILD_ACCOUNT" --member="$SUBMITTER" --role=roles/iam.serviceAccountUser
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
