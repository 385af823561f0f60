"""Equations of the twins: functions of arrays, without twins, instruments or rigs. Their constants are arguments."""
