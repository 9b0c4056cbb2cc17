"""The pipeline: its configuration, its DAG, and the loop of rounds around it."""
