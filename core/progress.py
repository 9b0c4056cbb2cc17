"""The channel on which every room reports progress; `pipeline.progress` shows it to people."""

import logging

progress = logging.getLogger("understudy.progress")
