"""Leadwire: the vocabulary all packages share, the ports, and the wiring.

Leadwire is not a certified medical device.
"""

__version__ = "0.1.0"
