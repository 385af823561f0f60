"""Use-cases of the service, and the database that remembers: plain values in and out, no HTTP."""
