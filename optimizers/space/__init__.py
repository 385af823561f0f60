"""The settings that are allowed, and how they are searched."""
