"""The judge, the scorers and the statistics of coverage rates."""
