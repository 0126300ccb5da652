"""The folders are the architecture: who may import whom, read from the sources themselves."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

MAY_IMPORT: dict[str, set[str]] = {
    "leadwire": set(),
    "ingest": {"leadwire"},
    "dsp": {"leadwire"},
    "alerts": {"leadwire"},
    "storage": {"leadwire"},
    "dashboard": {"leadwire", "storage"},
    "simulators": {"leadwire", "ingest.protocols"},
    "benchmarks": {"leadwire", "ingest", "dsp", "alerts", "storage", "dashboard", "simulators"},
}
WIRING = {"leadwire/cli.py", "leadwire/roles.py", "leadwire/pack_commands.py"}
"""They bring the packages together and may import all of them."""

HOMES: dict[str, tuple[str, ...]] = {
    "kafka": ("leadwire/bus/kafka",),
    "sqlalchemy": ("storage/",),
    "alembic": ("storage/",),
    "psycopg2": ("storage/",),
    "pcodec": ("storage/",),
    "icalendar": ("leadwire/ical",),
    "recurring_ical_events": ("leadwire/ical",),
    "yaml": ("leadwire/yaml_nodes", "leadwire/network_file"),
    "fastapi": ("dashboard/",),
    "starlette": ("dashboard/",),
    "uvicorn": ("dashboard/",),
    "websockets": ("ingest/gateway", "ingest/link", "simulators/", "benchmarks/"),
    "apprise": ("alerts/channels/",),
    "wfdb": ("simulators/", "benchmarks/"),
    "neurokit2": ("simulators/", "benchmarks/"),
    "sleepecg": ("simulators/", "benchmarks/"),
    "ecgdetectors": ("benchmarks/",),
    "matplotlib": ("benchmarks/",),
}
"""Each third-party client lives in one place (path prefixes)."""

PURE = ("dsp/", "alerts/", "ingest/protocols/", "ingest/session", "ingest/window")
SHELLS = ("dsp/service", "alerts/service", "alerts/channels/", "alerts/notifier")
OUTSIDE_WORLD = {
    "asyncio",
    "threading",
    "multiprocessing",
    "socket",
    "selectors",
    "time",
    "kafka",
    "websockets",
}

SOURCES = sorted(
    str(file.relative_to(ROOT)) for package in MAY_IMPORT for file in (ROOT / package).rglob("*.py")
)


def imports(file: str) -> set[str]:
    """Dotted names of all modules that `file` imports, anywhere in it; relative ones resolved."""
    found: set[str] = set()
    for node in ast.walk(ast.parse((ROOT / file).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            here = list(Path(file).parent.parts)
            base = here[: len(here) + 1 - node.level] if node.level else []
            module = ".".join(base + ([node.module] if node.module else []))
            # The module alone says too little: `from ingest import protocols` is ingest.protocols.
            found |= {f"{module}.{alias.name}" for alias in node.names}
    return found


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


def test_there_are_sources_in_every_package():
    assert {file.split("/")[0] for file in SOURCES} == set(MAY_IMPORT)


@pytest.mark.parametrize("file", SOURCES)
def test_arrows_point_inward(file):
    own = file.split("/")[0]
    allowed = set(MAY_IMPORT) if file in WIRING else MAY_IMPORT[own] | {own}
    ours = {name for name in imports(file) if name.split(".")[0] in MAY_IMPORT}
    assert not {name for name in ours if not any(within(name, package) for package in allowed)}


@pytest.mark.parametrize("file", SOURCES)
def test_each_client_library_lives_in_one_place(file):
    for name in imports(file):
        homes = HOMES.get(name.split(".")[0])
        assert homes is None or file.startswith(homes), f"{file} imports {name}; its place is {homes}"


@pytest.mark.parametrize(
    "file", [file for file in SOURCES if file.startswith(PURE) and not file.startswith(SHELLS)]
)
def test_pure_modules_know_no_clock_thread_or_socket(file):
    assert not {name.split(".")[0] for name in imports(file)} & OUTSIDE_WORLD
