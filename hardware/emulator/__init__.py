"""The board without a board: the real firmware on an emulated processor, with the world around it in Python."""
