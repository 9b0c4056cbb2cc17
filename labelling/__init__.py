"""The labelling page: people judge answers and suspect references, in a browser on this machine."""
