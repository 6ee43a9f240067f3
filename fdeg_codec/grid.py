"""The integer grid of FORMAT.md, on which the network's mixtures become exact."""

COMPONENTS = 3  # of each mixture
MEAN_STEPS = 16  # means are whole sixteenths
WEIGHT_STEPS = 64  # weights are whole sixty-fourths
SCALES = 64  # evenly spaced in their logarithm
SCALE_MIN, SCALE_MAX = 0.05, 100.0
