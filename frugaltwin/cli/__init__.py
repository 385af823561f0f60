"""The `frugaltwin` command: one file per group of commands."""
