"""A service from afar: clients for scripts and notebooks, and a rig of the service as a driver."""
