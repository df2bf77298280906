"""The statistics of the gate, in the standard library alone: numpy would cost every start more than it saves.

Throughout, `tail` is the chance that the truth lies beyond one bound: 0.05 gives one-sided 95 % bounds and, taken
together, a 90 % interval.
"""
