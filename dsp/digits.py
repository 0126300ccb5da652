"""Digital rows of a chunk as the detectors want them: mV, NaN for no measurement; and where all is dark."""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def to_mv(d, columns, scale, off, dark_rows, dark, x, darks):  # type: ignore[no-untyped-def]
    """Fill `x` (n_samples, n_leads) with mV, and `darks` with where stretches became dark; return how many.

    Parameters
    ----------
    d
        Digits, int16 (n_samples, n_sig).
    columns, scale, off
        Per lead its column in `d`, its zero and mV per digit (n_leads, 2), and whether its electrode is off.
    dark_rows, dark
        So many rows without any measurement are dark; (1,) how many there have been up to now.
    """
    n = 0
    for i in range(d.shape[0]):
        seen = False
        for j in range(columns.size):
            v = d[i, columns[j]]
            if v == -32768 or off[j]:
                x[i, j] = np.nan
            else:
                x[i, j] = (v - scale[j, 0]) * scale[j, 1]
                seen = True
        if seen:
            dark[0] = 0
        else:
            dark[0] += 1
            if dark[0] == dark_rows:
                darks[n] = i
                n += 1
    return n
