"""The tokens file."""

import hashlib
import os

import pytest

from ingest.tokens import Tokens
from leadwire.errors import SettingError


def test_a_device_comes_in_with_its_own_token_only(tmp_path):
    file = tmp_path / "tokens"
    digest = hashlib.sha256(b"sesame-9").hexdigest()
    file.write_text(f"# ward 3\n\nbed-1 correct-horse\nbed-2 sha256:{digest}\n", encoding="utf-8")
    tokens = Tokens(file)
    assert tokens.allow("bed-1", "correct-horse")
    assert tokens.allow("bed-2", "sesame-9")
    assert not tokens.allow("bed-1", "sesame-9")
    assert not tokens.allow("bed-1", "")
    assert not tokens.allow("bed-3", "correct-horse")
    assert not tokens.allow("bed-2", f"sha256:{digest}")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("bed-1", "1 words"),
        ("bed-1 correct horse", "3 words"),
        ("bed-0 correct-horse", "twice"),
        ("bed-1 short", "5 bytes"),
        ("bed-1 sha256:12", "hash"),
        ("bed-1 " + "x" * 65, "65 bytes"),
    ],
)
def test_an_error_names_its_line_and_never_the_token(tmp_path, line, said):
    file = tmp_path / "tokens"
    file.write_text(f"# ward\nbed-0 correct-horse\n{line}\n", encoding="utf-8")
    with pytest.raises(SettingError, match=f"line 3: .*{said}") as error:
        Tokens(file)
    assert "horse" not in str(error.value)


def test_a_file_that_is_not_there_stops_the_start(tmp_path):
    with pytest.raises(SettingError, match="nowhere"):
        Tokens(tmp_path / "nowhere")


def test_devices_are_paired_and_revoked_while_the_gateway_runs(tmp_path):
    file = tmp_path / "tokens"

    def write(text, at):
        file.write_text(text, encoding="utf-8")
        os.utime(file, (at, at))

    write("bed-1 correct-horse\n", 1)
    tokens = Tokens(file)
    write("bed-2 battery-staple\n", 2)
    assert not tokens.allow("bed-1", "correct-horse")
    assert tokens.allow("bed-2", "battery-staple")
    write("bed-2\n", 3)
    assert tokens.allow("bed-2", "battery-staple"), "a typing error must not lock everybody out"
    file.unlink()
    assert tokens.allow("bed-2", "battery-staple")
