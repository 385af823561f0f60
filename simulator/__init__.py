"""Twins: each file is one kind of experiment, equations first, then the imperfections of a real rig around them."""
