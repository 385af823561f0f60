"""Comparisons of strategies: problems × strategies × seeds, performed on many processes, judged by the truth."""
