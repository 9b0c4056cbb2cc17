"""What `test_killed` runs in processes of their own, and kills."""

import os
import sys

from google.auth.credentials import AnonymousCredentials

import kubeflow_runner
from pipeline.vertex import commands
from pipeline.vertex import compile as vertex_compile
from pipeline.vertex import run as vertex_run
from pipeline.vertex.cloud import Cloud

LOADED = vertex_compile  # TFX, which takes seconds, is loaded before the processes fork


def command(url, output, arguments):
    """Run a command against a cloud; ends the process with its status."""
    descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.environ["STORAGE_EMULATOR_HOST"] = url
    commands.default_cloud = lambda: Cloud(AnonymousCredentials(), url)
    vertex_run._POLL_SECONDS = 0.0
    status = kubeflow_runner.main(arguments)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
