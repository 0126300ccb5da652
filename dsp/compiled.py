"""Where compiled kernels are kept between starts: a folder that changes with any source of `dsp/`.

numba's own cache looks at a kernel's file only, and compiles in the constants and callees of others:
after an upgrade it would go on running yesterday's thresholds. So each state of the sources has a
folder of its own, beside them or, where that cannot be written, in the user's cache.
"""

import os
import shutil
from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path

HERE = Path(__file__).parent


def fingerprint(sources: Iterable[Path]) -> str:
    """16 hexadecimal digits that change with the name or content of any of `sources`."""
    digest = blake2b(digest_size=8)
    for path in sorted(sources):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def folder(base: str = "") -> Path:
    """The folder for the sources as they are now; those of earlier sources beside it are removed.

    Parameters
    ----------
    base
        Where to keep such folders (numba's own setting, NUMBA_CACHE_DIR); empty: choose.
    """
    if base:
        parent = Path(base)
    elif os.access(HERE, os.W_OK):
        parent = HERE / "__pycache__"
    else:
        parent = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "leadwire"
    kept = parent / f"kernels-{fingerprint(HERE.rglob('*.py'))}"
    for old in parent.glob("kernels-*"):
        if old != kept:
            shutil.rmtree(old, ignore_errors=True)
    return kept
