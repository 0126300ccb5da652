"""Where compiled kernels are kept between starts: a folder that changes with any source they are made from.

numba's own cache looks at a kernel's file only, and compiles in the constants and callees of others:
after an upgrade it would go on running yesterday's thresholds. So each state of the sources has a
folder of its own, beside them or, where that cannot be written, in the user's cache. Files without
kernels, which no kernel's file imports, may change and nothing is compiled again.
"""

import os
import re
import shutil
from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path

HERE = Path(__file__).parent
_DEFINES = re.compile(r"^(from numba|from dsp\.kernels|from dsp import kernels)\b", re.MULTILINE)
_IMPORTS = re.compile(r"^from dsp(\.[\w.]+)? import ([\w, ]*)", re.MULTILINE)


def sources(root: Path = HERE) -> set[Path]:
    """The files in the package at `root` that define kernels, and all of it that these import in turn."""
    files = {path.relative_to(root).with_suffix("").as_posix(): path for path in root.rglob("*.py")}
    texts = {name: path.read_text(encoding="utf-8") for name, path in files.items()}
    found: set[str] = set()
    waiting = [name for name, text in texts.items() if _DEFINES.search(text)]
    while waiting:
        name = waiting.pop()
        if name in found or name not in texts:
            continue
        found.add(name)
        for module, names in _IMPORTS.findall(texts[name]):
            inside = module[1:].replace(".", "/")
            waiting += [inside] if inside else [part.split()[0] for part in names.split(",") if part.strip()]
    return {files[name] for name in found}


def fingerprint(paths: Iterable[Path]) -> str:
    """16 hexadecimal digits that change with the name or content of any of `paths`."""
    digest = blake2b(digest_size=8)
    for path in sorted(paths):
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
    kept = parent / f"kernels-{fingerprint(sources())}"
    for old in parent.glob("kernels-*"):
        if old != kept:
            shutil.rmtree(old, ignore_errors=True)
    return kept
