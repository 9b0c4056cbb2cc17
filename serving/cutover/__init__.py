"""What real traffic says: the confidence of answers, verdicts on pairs, and the walk to 100 %."""
