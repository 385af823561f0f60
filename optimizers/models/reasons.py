"""Reasons for a suggestion that several strategies give, in words for people."""

EVEN = "evenly spread, before the model"
FAR_AWAY = "far from everything measured: no border is known yet"
IMPROVEMENT = "largest expected improvement of the score"
UNCERTAIN_LABEL = "the likeliest label is least certain here"
UNCERTAIN_SIDE = "the number may lie on either side of the threshold here"
