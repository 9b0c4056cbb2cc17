"""The command line that `understudy`, `local_runner.py` and `kubeflow_runner.py` share."""
