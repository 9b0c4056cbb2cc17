"""Mutation tests: small faults are planted one at a time, and the tests of their module run.

`python -m tools.mutants` plants what `draw` has drawn with mutmut's operators. Results are written
one by one, so an interrupted run resumes where it stopped.
"""
