"""Simulated instruments and labs that several twins share."""
