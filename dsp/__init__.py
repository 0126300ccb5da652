"""SampleChunk -> beats, quality and rhythm episodes. Pure, but for service.py."""

from numba import config as _numba

from dsp.compiled import folder as _folder

# Before any kernel is defined: its decorator asks where to look.
_numba.CACHE_DIR = str(_folder(_numba.CACHE_DIR))
