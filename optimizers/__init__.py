"""Strategies: one file is one way to choose the next experiment. torch, botorch and gpytorch live only here."""
