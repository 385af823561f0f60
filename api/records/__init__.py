"""The service's use-cases and what it remembers: plain values in and out, no HTTP."""
