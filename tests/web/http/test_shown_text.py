"""What hosts say is shown, and obeyed by no terminal."""

import pytest

from web.http.shown_text import shown


@pytest.mark.parametrize(
    ("said", "text"),
    [
        (b"kernel\t6.1\n", "kernel\t6.1\n"),
        (b"a\r\nb\r\n", "a\nb\n"),
        (b"10%\r20%\r", "10%\\r20%\\r"),
        (b"\x1b[2J\x1b]0;title\x07", "\\x1b[2J\\x1b]0;title\\x07"),
        (b"\x00\x7f\xc2\x9b31m", "\\x00\\x7f\\x9b31m"),
        ("\u202eevil\u2066".encode(), "\\u202eevil\\u2066"),
        ("\u201cdnf\u201d \u00e9".encode(), "\u201cdnf\u201d \u00e9"),
        (b"\xff\xe2\x82", "\\xff\\xe2\\x82"),
        (b"", ""),
    ],
)
def test_control_characters_are_shown(said: bytes, text: str) -> None:
    assert shown(said) == text.encode()
