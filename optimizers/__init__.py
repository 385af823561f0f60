"""Strategies: one file is one way to choose the next experiment. `models/` holds what they believe, `space/` what is allowed.

Only this package imports torch, botorch and gpytorch.
"""
