"""The labelling page: one answer, or one suspect reference, at a time."""
