"""Pure planning: from what was asked and what is there to what will be done, and from how far it is to what is next.

No clock, no chance, no I/O: `now` and a seed come in as values.
"""
