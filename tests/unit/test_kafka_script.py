"""scripts/kafka ends and removes only what it made itself. (That it starts a broker, the bus suite shows.)"""

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "kafka"


def kafka(*args: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, str(SCRIPT), *args], capture_output=True, text=True, timeout=60)


def test_without_a_broker_status_says_stopped(tmp_path: Path) -> None:
    done = kafka("status", "--dir", str(tmp_path / "none"))
    assert (done.returncode, done.stdout) == (3, "stopped\n")
    assert kafka("stop", "--dir", str(tmp_path / "none")).returncode == 0


def test_a_folder_that_it_did_not_make_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("data")
    assert kafka("stop", "--dir", str(tmp_path)).returncode == 0
    assert (tmp_path / "precious").exists()


def test_a_process_that_took_over_the_number_is_left_alone(tmp_path: Path) -> None:
    other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        where = tmp_path / "broker"
        where.mkdir()
        (where / "server.properties").write_text("")
        (where / "pid").write_text(f"{other.pid}\n")
        assert kafka("status", "--dir", str(where)).returncode == 3
        assert kafka("stop", "--dir", str(where)).returncode == 0
        assert other.poll() is None
        assert not where.exists()
    finally:
        other.kill()
        other.communicate()
