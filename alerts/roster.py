"""The roster that the desk asks. It lives in `leadwire/roster.py`, for the pages ask it too."""

from leadwire.roster import DEFAULT_CHAINS, Directory, Stint, check_take_over

__all__ = ["DEFAULT_CHAINS", "Directory", "Stint", "check_take_over"]
