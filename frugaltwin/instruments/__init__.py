"""Instruments: the instructions of a color mixer and of a probe, and the procedures that are made of them.

Pump error, dead volume, carry-over, sensor gain and saturation, blur, drift and time belong to the instrument, in a twin as in a rig.
"""

from frugaltwin.instruments.mixer import Mixer, MixerSpecification, Reading
from frugaltwin.instruments.probe import Image, Probe

__all__ = ["Image", "Mixer", "MixerSpecification", "Probe", "Reading"]
