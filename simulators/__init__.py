"""Recorded and synthetic patients that speak the real device protocol."""
