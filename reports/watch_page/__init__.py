"""The page of a watched service."""
