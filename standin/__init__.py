"""A local server in place of the Gemini API, for the demonstration task only.

It is no language model: it writes and answers messages of one task from a grammar, so that the
pipeline runs without a key. It imports nothing of the pipeline; they meet over HTTP.
"""
