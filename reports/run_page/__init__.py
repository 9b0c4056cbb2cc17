"""The page of a loop of rounds."""
