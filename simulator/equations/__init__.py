"""Equations of the twins: pure functions of arrays, without twins, noise or rigs."""
