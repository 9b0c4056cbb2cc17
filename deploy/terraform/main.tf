# What deploy/setup.sh makes, for teams that keep their projects in Terraform: use one or the other.
#   terraform -chdir=deploy/terraform init
#   terraform -chdir=deploy/terraform apply -var project=my-team -var submitter=user:me@example.com
# The token is not here, because Terraform writes what it knows into its state; store it with gcloud:
#   printf %s "$HF_TOKEN" | gcloud secrets versions add understudy-hf-token --project=my-team --data-file=-

terraform {
  required_version = ">= 1.3"
  required_providers {
    google = {
      source  = "hashicorp/google"
      version = "~> 7.0"
    }
  }
}

provider "google" {
  project = var.project
  region  = var.region
}

locals {
  bucket = var.bucket != "" ? var.bucket : "${var.project}-understudy"
  apis = concat(
    ["aiplatform", "artifactregistry", "cloudbuild", "compute", "iam", "logging", "secretmanager", "storage"],
    var.dataflow ? ["dataflow"] : []
  )
}

resource "google_project_service" "api" {
  for_each           = toset(local.apis)
  project            = var.project
  service            = "${each.key}.googleapis.com"
  disable_on_destroy = false
}

resource "google_storage_bucket" "artifacts" {
  name                        = local.bucket
  project                     = var.project
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  depends_on                  = [google_project_service.api]
}

resource "google_artifact_registry_repository" "images" {
  repository_id = var.repository
  project       = var.project
  location      = var.region
  format        = "DOCKER"
  description   = "Images of the Understudy pipeline"
  depends_on    = [google_project_service.api]
}

resource "google_service_account" "tasks" {
  account_id   = "understudy-tasks"
  project      = var.project
  display_name = "Understudy: tasks of the pipeline"
  depends_on   = [google_project_service.api]
}

resource "google_service_account" "build" {
  account_id   = "understudy-build"
  project      = var.project
  display_name = "Understudy: builds of the image"
  depends_on   = [google_project_service.api]
}

resource "google_secret_manager_secret" "token" {
  secret_id = var.token_secret
  project   = var.project
  replication {
    auto {}
  }
  depends_on = [google_project_service.api]
}
