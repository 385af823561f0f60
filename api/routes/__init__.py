"""HTTP in, HTTP out: one resource a file."""
