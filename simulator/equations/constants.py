"""Constants of nature."""

R = 8.314462618
"""Gas constant, J/(mol K). Source: CODATA 2018."""
