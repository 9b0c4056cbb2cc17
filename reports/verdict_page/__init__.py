"""The page of a verdict on a switch."""
