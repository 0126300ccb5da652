"""Who is answered: this host, by pages of this host."""

import pytest

from dashboard.guard import SECURITY_HEADERS, host_allowed, origin_allowed


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8070", "localhost", "LOCALHOST:1", "[::1]:8070", "10.0.0.7", "wall.example:8070"]
)
def test_address_literals_localhost_and_our_own_names_are_answered(host: str) -> None:
    assert host_allowed(host, {"wall.example"})


@pytest.mark.parametrize(
    "host",
    [
        None,
        "",
        "evil.example",
        "127.0.0.1.evil.example",
        "[::1",
        "127.0.0.1:80a",
        ":8070",
        "[]:80",
        "2130706433",
    ],
)
def test_a_name_that_another_site_could_point_here_is_not_answered(host: str | None) -> None:
    assert not host_allowed(host, {"wall.example"})


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        (None, True),
        ("http://wall:8070", True),
        ("HTTPS://WALL:8070", True),
        ("http://wall:8071", False),
        ("http://evil.example", False),
        ("null", False),
        ("file://wall:8070", False),
        ("", False),
    ],
)
def test_only_pages_of_this_host_may_open_a_websocket(origin: str | None, allowed: bool) -> None:
    assert origin_allowed(origin, "wall:8070") is allowed


def test_the_policy_allows_nothing_from_elsewhere_and_no_inline_code() -> None:
    policy = SECURITY_HEADERS["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert "http" not in policy
    assert "*" not in policy
