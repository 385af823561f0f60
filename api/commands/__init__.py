"""The commands of the service: one file a group."""
