"""Experiments of anybody: described by a file, performed by hand or by a program."""
