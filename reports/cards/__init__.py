"""The cards of the repositories on the Hugging Face Hub."""
