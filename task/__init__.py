"""What a team brings: its task, its coverage pairs, and the form of their outputs."""
