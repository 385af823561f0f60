"""Models of what is measured: what strategies believe."""
