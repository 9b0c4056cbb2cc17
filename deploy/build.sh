#!/usr/bin/env bash
# Build the images with Cloud Build, push them, and print a preset that uses them.
#
# Usage:   PROJECT=my-team deploy/build.sh [IMAGE] >my-team.yaml
# IMAGE    name and tag (default: the repository of deploy/setup.sh, and the commit as the tag).
#          The images for accelerators and for Dataflow get the suffixes -cuda and -dataflow.
# Options: REGION, BUCKET, REPOSITORY, TOKEN_SECRET (see deploy/common.sh)
#          TARGETS="pipeline cuda dataflow" (default: "pipeline cuda")
#          RUN_AS=0 runs the tasks as root, where the user 1000 cannot write to the mounted bucket
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=deploy/common.sh
. deploy/common.sh

TARGETS="${TARGETS:-pipeline cuda}"
tag="$(git rev-parse --short=12 HEAD 2>/dev/null || date -u +%Y%m%d-%H%M%S)"
image="${1:-$REGION-docker.pkg.dev/$PROJECT/$REPOSITORY/pipeline:$tag}"

name_of() { # $1: target
  if [ "$1" = pipeline ]; then echo "$image"; else echo "$image-$1"; fi
}

for target in $TARGETS; do
  case "$target" in pipeline | cuda | dataflow) ;; *) stop "TARGETS: there is no target '$target'; choose among pipeline, cuda and dataflow." ;; esac
done
case " $TARGETS " in *" pipeline "*) ;; *) stop "TARGETS: 'pipeline' is needed by every run." ;; esac

for target in $TARGETS; do
  say "Building $(name_of "$target") (the first time takes some 20 minutes)"
  gcloud builds submit . --config=deploy/cloudbuild.yaml --region="$REGION" \
    --service-account="projects/$PROJECT/serviceAccounts/$BUILD_ACCOUNT" \
    --gcs-source-staging-dir="$BUCKET/build" \
    --substitutions="_TARGET=$target,_IMAGE=$(name_of "$target"),_RUN_AS=${RUN_AS:-1000}" >&2
done

cat <<EOF
# Made by deploy/build.sh. Run: python kubeflow_runner.py run --preset THIS_FILE
extends: vertex
service_llm:
  vertex_project: $PROJECT
vertex:
  project: $PROJECT
  region: $REGION
  pipeline_root: $BUCKET/pipelines
  image: $image
  service_account: $TASKS_ACCOUNT
  secrets:
    HF_TOKEN: projects/$PROJECT/secrets/$TOKEN_SECRET/versions/1
EOF
case " $TARGETS " in *" cuda "*) echo "  trainer_image: $(name_of cuda)" ;; *) echo "  accelerator_type: null" ;; esac
case " $TARGETS " in *" dataflow "*) echo "  dataflow_image: $(name_of dataflow)" ;; esac
