# The roles that deploy/setup.sh grants, each for the reason in docs/vertex.md. They are added to what
# others have: nothing here takes a role away.

# Tasks read and write artifacts, ask Gemini, pull the image and read the token.

resource "google_project_iam_member" "tasks" {
  for_each = toset(["roles/aiplatform.user", "roles/logging.logWriter"])
  project  = var.project
  role     = each.key
  member   = google_service_account.tasks.member
}

resource "google_project_iam_member" "tasks_dataflow" {
  for_each = toset(var.dataflow ? ["roles/dataflow.developer", "roles/dataflow.worker"] : [])
  project  = var.project
  role     = each.key
  member   = google_service_account.tasks.member
}

resource "google_storage_bucket_iam_member" "tasks" {
  # TensorFlow and Beam ask whether the bucket exists.
  for_each = toset(["roles/storage.objectUser", "roles/storage.legacyBucketReader"])
  bucket   = google_storage_bucket.artifacts.name
  role     = each.key
  member   = google_service_account.tasks.member
}

resource "google_artifact_registry_repository_iam_member" "tasks" {
  project    = var.project
  location   = google_artifact_registry_repository.images.location
  repository = google_artifact_registry_repository.images.name
  role       = "roles/artifactregistry.reader"
  member     = google_service_account.tasks.member
}

resource "google_secret_manager_secret_iam_member" "tasks" {
  project   = var.project
  secret_id = google_secret_manager_secret.token.secret_id
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.tasks.member
}

# Jobs that a task starts run as the account that the task runs as.
resource "google_service_account_iam_member" "tasks" {
  for_each           = toset(var.dataflow || var.spot ? ["roles/iam.serviceAccountUser"] : [])
  service_account_id = google_service_account.tasks.name
  role               = each.key
  member             = google_service_account.tasks.member
}

# Builds push images; with tag_builds they also start runs.

resource "google_project_iam_member" "build" {
  for_each = toset(concat(["roles/logging.logWriter"], var.tag_builds ? ["roles/aiplatform.user"] : []))
  project  = var.project
  role     = each.key
  member   = google_service_account.build.member
}

resource "google_storage_bucket_iam_member" "build" {
  for_each = toset(concat(["roles/storage.objectUser"], var.tag_builds ? ["roles/storage.legacyBucketReader"] : []))
  bucket   = google_storage_bucket.artifacts.name
  role     = each.key
  member   = google_service_account.build.member
}

resource "google_service_account_iam_member" "build" {
  for_each           = toset(var.tag_builds ? ["roles/iam.serviceAccountUser"] : [])
  service_account_id = google_service_account.tasks.name
  role               = each.key
  member             = google_service_account.build.member
}

resource "google_artifact_registry_repository_iam_member" "build" {
  project    = var.project
  location   = google_artifact_registry_repository.images.location
  repository = google_artifact_registry_repository.images.name
  role       = "roles/artifactregistry.writer"
  member     = google_service_account.build.member
}

# The submitter starts runs and builds, and reads their logs.

resource "google_project_iam_member" "submitter" {
  for_each = toset([
    "roles/aiplatform.user",
    "roles/cloudbuild.builds.editor",
    "roles/serviceusage.serviceUsageConsumer",
    "roles/logging.viewer",
  ])
  project = var.project
  role    = each.key
  member  = var.submitter
}

resource "google_storage_bucket_iam_member" "submitter" {
  # gcloud builds submit asks whether the bucket exists.
  for_each = toset(["roles/storage.objectUser", "roles/storage.legacyBucketReader"])
  bucket   = google_storage_bucket.artifacts.name
  role     = each.key
  member   = var.submitter
}

resource "google_artifact_registry_repository_iam_member" "submitter" {
  project    = var.project
  location   = google_artifact_registry_repository.images.location
  repository = google_artifact_registry_repository.images.name
  role       = "roles/artifactregistry.reader"
  member     = var.submitter
}

resource "google_service_account_iam_member" "submitter" {
  for_each = {
    tasks = google_service_account.tasks.name
    build = google_service_account.build.name
  }
  service_account_id = each.value
  role               = "roles/iam.serviceAccountUser"
  member             = var.submitter
}
