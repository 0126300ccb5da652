"""Databases come whole, go on where they stopped, and never leave half a file under its name."""

import argparse
import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from leadwire.errors import RejectError, RetryError, SettingError
from simulators import fetch

FILES = {"RECORDS": b"100\n", "100.hea": b"100 1 360 10\n", "x/100.dat": bytes(range(256)) * 700}


class Server:
    """A PhysioNet of three files that can be told to misbehave."""

    def __init__(self) -> None:
        self.files = {f"/mitdb/1.0.0/{name}": data for name, data in FILES.items()}
        sums = "".join(f"{hashlib.sha256(d).hexdigest()} {n}\n" for n, d in FILES.items())
        self.sums = "/mitdb/1.0.0/SHA256SUMS.txt"
        self.files[self.sums] = sums.encode()
        self.asked: list[tuple[str, str]] = []
        self.break_after: int | None = None
        self.ranges = True
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer.asked.append((self.path, self.headers.get("Range", "")))
                data = outer.files.get(self.path)
                if data is None:
                    self.send_error(404)
                    return
                start = int(self.headers.get("Range", "bytes=0-")[6:-1]) if outer.ranges else 0
                if start and start >= len(data):
                    self.send_error(416)
                    return
                self.send_response(206 if start else 200)
                self.send_header("Content-Length", str(len(data) - start))
                self.send_header("Connection", "close")
                self.end_headers()
                end = len(data)
                if outer.break_after is not None and self.path.endswith(".dat"):
                    end = min(end, start + outer.break_after)
                self.wfile.write(data[start:end])
                self.close_connection = True

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = Server()
    yield server
    server.close()


def assert_whole(folder: Path) -> None:
    got = {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    assert got == FILES


def test_a_database_comes_whole_and_only_once(server: Server, tmp_path: Path) -> None:
    assert fetch.fetch("mitdb", tmp_path, server.url) == 3
    assert_whole(tmp_path)
    assert fetch.fetch("mitdb", tmp_path, server.url) == 0


def test_a_broken_connection_leaves_no_half_file_and_the_next_try_goes_on_from_there(
    server: Server, tmp_path: Path
) -> None:
    server.break_after = 100_000
    with pytest.raises(RetryError, match="broke 79200 bytes before the end"):
        fetch.fetch("mitdb", tmp_path, server.url)
    assert not (tmp_path / "x/100.dat").exists()
    assert fetch.fetch("mitdb", tmp_path, server.url) == 1
    assert server.asked[-1] == ("/mitdb/1.0.0/x/100.dat", "bytes=100000-")
    assert_whole(tmp_path)


def test_a_server_without_ranges_begins_again(server: Server, tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x/100.dat.part").write_bytes(b"some")
    server.ranges = False
    fetch.fetch("mitdb", tmp_path, server.url)
    assert_whole(tmp_path)


def test_a_part_that_was_already_whole_is_taken(server: Server, tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x/100.dat.part").write_bytes(FILES["x/100.dat"])
    fetch.fetch("mitdb", tmp_path, server.url)
    assert_whole(tmp_path)


def test_a_wrong_check_sum_throws_the_file_away(server: Server, tmp_path: Path) -> None:
    server.files["/mitdb/1.0.0/100.hea"] = b"something else"
    with pytest.raises(RetryError, match="SHA-256"):
        fetch.fetch("mitdb", tmp_path, server.url)
    assert not (tmp_path / "100.hea").exists()
    assert not (tmp_path / "100.hea.part").exists()


def test_a_missing_file_is_a_rejection(server: Server, tmp_path: Path) -> None:
    del server.files["/mitdb/1.0.0/100.hea"]
    with pytest.raises(RejectError, match="answers 404"):
        fetch.fetch("mitdb", tmp_path, server.url)


@pytest.mark.parametrize(
    ("sums", "says"),
    [
        (b"", "lists no files"),
        (b"<html>hello</html>", "a check sum and a file"),
        (b"0" * 64 + b" ../../etc/passwd\n", "a path inside the database"),
        (b"0" * 64 + b" /etc/passwd\n", "a path inside the database"),
        (b"0" * 64 + b" a\\..\\b\n", "a path inside the database"),
    ],
)
def test_a_list_that_makes_no_sense_is_rejected(
    server: Server, tmp_path: Path, sums: bytes, says: str
) -> None:
    server.files[server.sums] = sums
    with pytest.raises(RejectError, match=says):
        fetch.fetch("mitdb", tmp_path / "to", server.url)
    assert not (tmp_path / "to").exists()


def test_without_internet_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(RetryError, match="Is there internet"):
        fetch.fetch("mitdb", tmp_path, "http://127.0.0.1:1")


def run(*words: str) -> int:
    parser = argparse.ArgumentParser()
    fetch.add_arguments(parser)
    return fetch.run(parser.parse_args(words))


def test_the_commands(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(fetch, "PHYSIONET", server.url)
    monkeypatch.setenv("LEADWIRE_DATA", str(tmp_path))
    assert run("fetch", "mitdb") == 0
    assert_whole(tmp_path / "mitdb")
    assert run("list") == 0
    said = capsys.readouterr().out
    assert "1 records" in said
    assert all(name in said for name in fetch.DATABASES)
    with pytest.raises(SettingError, match="database nonsense came; some of mitdb"):
        run("fetch", "nonsense")
