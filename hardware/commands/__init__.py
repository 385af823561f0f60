"""Commands of ``frugaltwin rig``: from a board that was just plugged in to one that mixes."""
