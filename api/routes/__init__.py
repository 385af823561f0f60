"""Routes of the service: HTTP in, HTTP out, one resource a file."""
