"""HFPusher: the blessed model, its data, evaluation and application on the Hugging Face Hub."""
