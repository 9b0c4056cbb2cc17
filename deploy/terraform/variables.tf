# The names and defaults of deploy/common.sh and deploy/setup.sh.

variable "project" {
  type        = string
  description = "Id of the Google Cloud project; it needs a billing account."
}

variable "submitter" {
  type        = string
  description = "Who may start runs and builds, as user:NAME@EXAMPLE.COM or group:NAME@EXAMPLE.COM."
}

variable "region" {
  type        = string
  description = "Region of the bucket, the images and the runs."
  default     = "europe-west4"
}

variable "bucket" {
  type        = string
  description = "Name of the bucket, without gs://; empty for PROJECT-understudy."
  default     = ""
}

variable "repository" {
  type        = string
  description = "Name of the image repository."
  default     = "understudy"
}

variable "token_secret" {
  type        = string
  description = "Name of the secret with the Hugging Face token."
  default     = "understudy-hf-token"
}

variable "dataflow" {
  type        = bool
  description = "Also prepare Dataflow (vertex.dataflow_image)."
  default     = false
}

variable "spot" {
  type        = bool
  description = "Also prepare spot machines (vertex.spot_machine_type)."
  default     = false
}

variable "tag_builds" {
  type        = bool
  description = "Also let builds start runs (deploy/ci/tag.yaml)."
  default     = false
}
