"""Twins: one file for each kind of experiment, with the equations first and the imperfections of a real rig around them."""
