"""The door: who is let in, and who is not."""

import pytest

from tunesmith.errors import UserError
from tunesmith.ui.access import Access, is_loopback, is_loopback_name
from tunesmith.ui.serve import address, serve


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("localhost:80", True),
        ("127.0.0.1", True),
        ("127.0.0.1:8686", True),
        ("[::1]:8686", True),
        ("[::1]", True),
        ("LOCALHOST", True),
        ("", False),
        ("evil.example", False),
        ("localhost.evil.example:8686", False),
        ("evil.example:localhost", False),
        ("127.0.0.1.evil.example", False),
        ("::1", False),
    ],
)
def test_names_of_this_machine(header: str, expected: bool) -> None:
    assert is_loopback_name(header) is expected


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("", False),
    ],
)
def test_addresses_of_this_machine_alone(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


@pytest.mark.parametrize(
    "cookie",
    [
        None,
        "",
        "tunesmith_1=",
        "tunesmith_1=wrong",
        "tunesmith_2=right",
        "other=right",
        "tunesmith_1=rightt",
        "=;=;\x00",
    ],
)
def test_without_the_token_nobody_comes_in(cookie: str | None) -> None:
    assert not Access("right", 1).admits(cookie, "localhost")


def test_with_it_everybody_does() -> None:
    assert Access("right", 1).admits("a=b; tunesmith_1=right", "any.example")
    assert Access(None, 1).admits(None, "localhost:1")
    assert not Access(None, 1).admits(None, "rebound.example:1")
    assert not Access("right", 1).knows("réght")


def test_what_is_printed() -> None:
    assert address("127.0.0.1", 80, "abc") == "http://127.0.0.1:80/?token=abc"
    assert address("::1", 80, None).endswith("//[::1]:80/")


def test_what_is_refused(tmp_path) -> None:
    with pytest.raises(UserError, match="would show these runs to everyone"):
        serve(tmp_path, host="0.0.0.0", with_token=False)
    with pytest.raises(UserError, match="there is no folder"):
        serve(tmp_path / "none")
    with pytest.raises(UserError, match=r"cannot listen on 192\.0\.2\.1"):
        serve(tmp_path, host="192.0.2.1")
