"""The services' published request types, as data, and what answers a request that breaks them."""
