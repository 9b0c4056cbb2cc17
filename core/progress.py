"""The channel on which every room reports progress; `pipeline.progress` shows it to people."""

import logging

progress = logging.getLogger("understudy.progress")

spending = logging.getLogger("understudy.spending")
"""Debug records whose `spent_usd` is what all replies in the journal have cost so far.

Only a display that shows the cost lets them through: there is one for every reply.
"""
