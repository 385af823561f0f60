"""Rigs: one file is one rig. Nothing is here yet; the twins of the rigs to come are in `simulator`."""
