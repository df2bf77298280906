"""The statistics of the evaluation gate, in the standard library alone: importing numpy would slow down every start.

`alpha` is one-sided throughout: the probability that the true value lies beyond one bound. 0.05 gives one-sided 95 %
bounds, which together form a 90 % confidence interval.
"""
