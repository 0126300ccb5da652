"""``leadwire data``: which public ECG databases there are here, and fetching them from PhysioNet.

Files arrive under another name and get theirs when they are whole and their check sum is right, so an
interrupted fetch goes on where it stopped and never leaves half a record. wfdb's own `dl_database`
writes in place, asks for every annotation file of every record by name and shows nothing; hence this.
"""

import argparse
import hashlib
import os
import re
import urllib.error
import urllib.request
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path, PurePosixPath

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from leadwire.errors import RejectError, RetryError, SettingError

PHYSIONET = "https://physionet.org/files"
DEFAULT_FOLDER = Path("leadwire-data/records")
_TIMEOUT_S = 30.0
_BLOCK = 1 << 16
_SUM = re.compile(r"([0-9a-fA-F]{64})\s+\*?(\S.*?)\s*\Z")


@dataclass(frozen=True)
class Database:
    """A public database: where it is on PhysioNet, and what it is."""

    path: str
    what: str


DATABASES: dict[str, Database] = {
    "mitdb": Database("mitdb/1.0.0", "MIT-BIH Arrhythmia: 48 half hours, 2 leads, beats and rhythms"),
    "nstdb": Database("nstdb/1.0.0", "MIT-BIH Noise Stress: 118 and 119 with noise, noise alone"),
    "vfdb": Database("vfdb/1.0.0", "MIT-BIH Malignant Ventricular Ectopy: 22 half hours, VT and VF"),
    "cudb": Database("cudb/1.0.0", "Creighton University ventricular tachyarrhythmia: 35 records"),
    "afdb": Database("afdb/1.0.0", "MIT-BIH Atrial Fibrillation: 25 ten-hour records"),
    "nsrdb": Database("nsrdb/1.0.0", "MIT-BIH Normal Sinus Rhythm: 18 days"),
    "qtdb": Database("qtdb/1.0.0", "QT: 105 quarter hours with waves marked by hand"),
    "edb": Database("edb/1.0.0", "European ST-T: 90 two-hour records"),
    "ludb": Database("ludb/1.0.1", "Lobachevsky: 200 ten-second twelve-lead records with waves"),
    "ptbdb": Database("ptbdb/1.0.0", "PTB Diagnostic: 549 records of 15 leads"),
    "ptbxl": Database("ptb-xl/1.0.3", "PTB-XL: 21,799 ten-second twelve-lead records (3 GB)"),
    "cinc2011": Database("challenge-2011/1.0.0", "quality of twelve-lead records, challenge of 2011"),
    "cinc2015": Database("challenge-2015/1.0.0", "false alarms in intensive care, challenge of 2015"),
    "cinc2017": Database("challenge-2017/1.0.0", "atrial fibrillation in short records, challenge of 2017"),
    "cpsc2021": Database("cpsc2021/1.0.0", "paroxysmal atrial fibrillation, challenge of 2021"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``leadwire data``."""
    commands = parser.add_subparsers(dest="what", metavar="list|fetch", required=True)
    listing = commands.add_parser("list", help="the databases, and which are here")
    fetch = commands.add_parser("fetch", help="download databases from PhysioNet")
    fetch.add_argument("names", nargs="+", metavar="NAME", help=", ".join(DATABASES))
    for command in (listing, fetch):
        command.add_argument(
            "--to", type=Path, metavar="DIR",
            help=f"the data folder (LEADWIRE_DATA, else {DEFAULT_FOLDER})",
        )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """List the databases, or fetch the named ones; 0 when all is here."""
    folder = args.to or Path(os.environ.get("LEADWIRE_DATA") or DEFAULT_FOLDER)
    if args.what == "list":
        _list(folder)
        return 0
    unknown = [name for name in args.names if name not in DATABASES]
    if unknown:
        raise SettingError(
            f"database {', '.join(unknown)} came; some of {', '.join(DATABASES)} were expected"
        )
    for name in args.names:
        fetch(name, folder / name)
        print(f"{name} is in {folder / name}; set LEADWIRE_DATA={folder}")
    return 0


def _list(folder: Path) -> None:
    table = Table(title=f"ECG databases; here means {folder}", title_justify="left")
    for column in ("name", "here", "what"):
        table.add_column(column)
    for name, database in DATABASES.items():
        n = sum(1 for _ in (folder / name).rglob("*.hea"))
        table.add_row(name, f"{n} records" if n else "", database.what)
    Console().print(table)


def fetch(name: str, folder: Path, base: str | None = None) -> int:
    """Download database `name` into `folder` from `base` (PhysioNet); returns how many files came.

    What is here already is kept.

    Raises
    ------
    RetryError
        PhysioNet cannot be reached, or the connection broke: the same command goes on from there.
    RejectError
        PhysioNet has no such database, or its list of files makes no sense.
    """
    url = f"{base or PHYSIONET}/{DATABASES[name].path}/"
    files = _listed(url)
    came = 0
    console = Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal) as bars:
        for file, sha256 in bars.track(files, description=name):
            target = folder / file
            if not target.exists():
                _download(url + file, target, sha256)
                came += 1
    return came


def _listed(url: str) -> list[tuple[str, str]]:
    """The files of the database at `url` with their SHA-256, as its list of check sums has them."""
    files = []
    for line in _get(url + "SHA256SUMS.txt").decode("utf-8", errors="replace").splitlines():
        match = _SUM.match(line)
        if not match:
            raise RejectError(f"{url} lists {line[:80]!r}; a check sum and a file were expected")
        path = PurePosixPath(match[2])
        if path.is_absolute() or ".." in path.parts or "\\" in match[2]:
            raise RejectError(f"{url} lists the file {match[2]!r}; a path inside the database was expected")
        files.append((match[2], match[1].lower()))
    if not files:
        raise RejectError(f"{url} lists no files; a database of records was expected")
    return files


def _get(url: str) -> bytes:
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as answer:
            data: bytes = answer.read()
            return data
    except (OSError, HTTPException) as why:
        raise _trouble(url, why) from None


def _download(url: str, target: Path, sha256: str) -> None:
    """Bring `url` to `target`, going on with what an earlier try left beside it."""
    part = target.with_name(target.name + ".part")
    target.parent.mkdir(parents=True, exist_ok=True)
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:
            # A server that does not know ranges sends everything: then begin again.
            _save(answer, part, append=answer.status == 206)
            if answer.length:
                raise ConnectionError(f"the connection broke {answer.length} bytes before the end")
    except urllib.error.HTTPError as why:
        if why.code != 416:  # nothing is left to send: the part is whole
            raise _trouble(url, why) from None
    except (OSError, HTTPException) as why:
        raise _trouble(url, why) from None
    with part.open("rb") as file:
        got = hashlib.file_digest(file, "sha256").hexdigest()
    if got != sha256:
        part.unlink()
        raise RetryError(f"{url} came with SHA-256 {got}; {sha256} was expected. It was thrown away")
    part.replace(target)


def _save(answer: HTTPResponse, part: Path, append: bool) -> None:
    with part.open("ab" if append else "wb") as file:
        while block := answer.read(_BLOCK):
            file.write(block)
        file.flush()
        os.fsync(file.fileno())


def _trouble(url: str, why: Exception) -> RetryError | RejectError:
    if isinstance(why, urllib.error.HTTPError) and why.code in (403, 404, 410):
        return RejectError(f"{url}: the server answers {why.code} {why.reason}; a public file was expected")
    reason = getattr(why, "reason", None) or why or type(why).__name__
    return RetryError(
        f"{url} cannot be fetched: {reason}. Is there internet? The same command goes on from here"
    )
