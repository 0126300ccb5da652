"""Passwords cannot be read back, tokens cannot be made or changed without the secret."""

import os
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadwire.errors import SettingError
from leadwire.network import User
from leadwire.network_items import from_body, to_body
from leadwire.passwords import (
    MAX_PASSWORD,
    check_password,
    check_token,
    hash_password,
    read_secret,
    sign_token,
)

CHEAP = 16
SECRET = b"s" * 32


@given(password=st.text(min_size=8, max_size=MAX_PASSWORD), other=st.text(max_size=300))
@settings(max_examples=50, deadline=None)
def test_only_the_password_itself_opens_its_hash(password, other):
    hashed = hash_password(password, CHEAP)
    assert check_password(password, hashed)
    assert check_password(other, hashed) == (other == password)


def test_the_same_password_never_looks_the_same():
    assert hash_password("correct horse", CHEAP) != hash_password("correct horse", CHEAP)


def test_a_hash_fits_a_user_and_the_password_itself_does_not():
    user = User(id="li", name="Li", roles=("technician",), password=hash_password("correct horse", CHEAP))
    assert from_body("user", to_body(user)) == user
    with pytest.raises(ValueError, match="password") as why:
        from_body("user", to_body(user) | {"password": "correct horse"})
    assert "correct horse" not in str(why.value)


@pytest.mark.parametrize("length", [0, 7, MAX_PASSWORD + 1])
def test_a_password_too_short_or_too_long_is_refused(length):
    with pytest.raises(ValueError, match=f"{length} characters came; 8 to 200 were expected"):
        hash_password("x" * length)


@pytest.mark.parametrize(
    "hashed",
    ["", "x", "scrypt$16$x$y", "scrypt$17$" + "A" * 22 + "==$" + "A" * 43 + "=", "scrypt$9999999$$", "密码"],
)
def test_nothing_opens_what_is_no_hash(hashed):
    assert not check_password("correct horse", hashed, CHEAP)


@given(
    user=st.from_regex(r"\A[a-z0-9][a-z0-9._-]{0,63}\Z"),
    expires=st.integers(0, 2**40),
    wait=st.integers(-(10**6), 10**6),
)
def test_a_token_names_its_user_until_it_expires(user, expires, wait):
    token = sign_token(user, SECRET, expires)
    assert check_token(token, SECRET, expires + wait) == (user if wait < 0 else None)
    assert check_token(token, b"t" * 32, expires - 1) is None


@given(at=st.integers(0, 200), character=st.characters())
def test_a_changed_token_is_no_token(at, character):
    token = sign_token("li", SECRET, 1000)
    at %= len(token)
    changed = token[:at] + character + token[at + 1 :]
    assert check_token(changed, SECRET, 10) == ("li" if changed == token else None)


@given(token=st.text(max_size=600))
def test_rubbish_is_no_token(token):
    assert check_token(token, SECRET, 10) is None


def test_the_secret_is_made_once_for_all_who_start_together_and_only_its_owner_reads_it(tmp_path):
    file = tmp_path / "data" / "session.key"
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda _: read_secret(file), range(8)))
    assert len(found) == 1
    assert len(found.pop()) >= 32
    assert file.stat().st_mode & 0o777 == 0o600
    assert os.listdir(file.parent) == ["session.key"]


@pytest.mark.parametrize("text", ["", "no hex", "ab" * 31, "é"])
def test_a_file_that_holds_no_secret_stops_the_start(tmp_path, text):
    file = tmp_path / "session.key"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(SettingError, match=r"session\.key"):
        read_secret(file)
