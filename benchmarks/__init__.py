"""Accuracy, speed and latency, measured and kept."""
