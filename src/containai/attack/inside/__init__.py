"""Probes that run in the box, with the standard library only."""
