"""The records of a round and of a loop, made once and read by every page, card and command."""
