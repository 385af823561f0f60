"""The `frugaltwin` command: one file a group of commands."""
