"""Evaluation: arrays in, numbers with intervals out.

Nothing here knows how an embedding was made: no Lightning, no methods, no data sets. Import the file
that holds what you need (`evaluation.linear`, `evaluation.statistics`, ...): each loads only what it uses.
"""
