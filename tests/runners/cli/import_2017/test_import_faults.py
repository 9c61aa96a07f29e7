"""`commissaire import-2017` with old services that misbehave, and with log-ins that are none."""

import io
import sys
from pathlib import Path

import pytest

from runners.cli.import_2017.signing_in import can_be_overheard
from tests.runners.cli.import_2017.old_service import (
    PASSWORD,
    OldService,
    half_an_answer,
    leads_elsewhere,
    never_ends,
    page_of_nonsense,
    say,
)
from tests.runners.cli.import_2017.told import HOSTS, Told, no_secret_in


@pytest.mark.parametrize(
    ("url", "can_be"),
    [
        ("http://10.0.0.1:8000", True),
        ("http://localhost.example", True),
        ("https://10.0.0.1", False),
        ("http://127.0.0.1:8000", False),
        ("http://[::1]:8000", False),
    ],
)
def test_who_speaks_plain_http_over_a_network_is_told(url: str, can_be: bool) -> None:
    assert can_be_overheard(url) == can_be


@pytest.mark.parametrize("text", ["", "{}", "[]", "no JSON"])
def test_without_a_new_service_here_it_says_how_to_name_one(
    text: str, password: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if text:
        (tmp_path / "local.json").touch(0o600)
        (tmp_path / "local.json").write_text(text)
    told = Told(capsys, "http://127.0.0.1:9", *password, "--data", str(tmp_path))
    assert told.status == 1
    assert "start it, or name one with --to" in told.error


@pytest.mark.parametrize("refusal", [401, 403])
def test_who_is_not_let_in_is_told_so(
    refusal: int, password: list[str], other: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    Path(password[-1]).write_text("another-word-than-that")
    with OldService(refusal=refusal) as old:
        told = Told(capsys, old.url, *password, *other)
    assert told.status == 1
    assert f"does not let us in (HTTP {refusal})" in told.error
    assert "another-word" not in told.error
    assert len(old.asked) == 1


@pytest.mark.parametrize("path", ["/hosts", "/clusters", "/networks"])
@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (page_of_nonsense, "is no list of"),
        (half_an_answer, "no whole answer of HTTP"),
        (leads_elsewhere, "leads elsewhere"),
        (lambda handler: say(handler, 200, {"a": "s3cret-of-the-page"}), "is no list of"),
        (lambda handler: say(handler, 200, ["s3cret-of-the-page", 7]), "is no list of"),
        (lambda handler: say(handler, 200, ["\ud800"]), "is no list of"),
        (lambda handler: say(handler, 200, ["s3cret-of-the-page" * 99]), "is no list of"),
        (lambda handler: say(handler, 500, {"detail": "s3cret-of-the-page"}), "with HTTP 500"),
    ],
    ids=["nonsense", "half", "elsewhere", "object", "numbers", "no text", "long", "error"],
)
def test_without_its_lists_nothing_is_done(
    fault: object,
    sentence: str,
    path: str,
    old: OldService,
    password: list[str],
    other: list[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("runners.cli.import_2017.remote.PAUSE_S", 0.01)
    old.records[path] = fault
    told = Told(capsys, old.url, *password, *other, "--yes")
    assert told.status == 1
    assert sentence in told.error
    assert told.error.count("\n") == 1
    assert told.out == ""
    assert no_secret_in(told.error, old)


def test_a_slow_answer_is_waited_for_until_its_limit_and_no_longer(
    old: OldService,
    password: list[str],
    other: list[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("runners.cli.import_2017.remote.PAUSE_S", 0.01)
    old.records["/clusters"] = never_ends(old)
    told = Told(capsys, old.url, *password, *other, "--timeout", "0.5")
    assert told.status == 1
    assert "nothing whole came within 0.5 s (--timeout)" in told.error


def test_what_cannot_be_read_is_left_out_and_the_rest_is_not(
    old: OldService, password: list[str], other: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    old.records["/cluster/db"] = page_of_nonsense
    old.records["/network/blue"] = {"name": "blue", "type": 7}
    del old.records[f"/host/{HOSTS[2]}/creds"]
    old.records[f"/host/{HOSTS[1]}/creds"] = {"ssh_priv_key": ["s3cret-of-the-page"]}
    # No list of members: each host is asked for.
    del old.records["/cluster/web/hosts"]
    old.records[f"/cluster/web/hosts/{HOSTS[0]}"] = b"['192.168.100.50']"
    told = Told(capsys, old.url, *password, *other)
    assert told.status == 1
    assert told.of("cluster/db") == [["leave out", "what came is not its record"]]
    assert told.of("network/blue")[0][0] == "leave out"
    assert told.of(f"host/{HOSTS[2]}") == [["leave out", "its credentials: refused (HTTP 404)"]]
    assert told.of(f"host/{HOSTS[1]}")[0][0] == "leave out"
    assert told.of(f"host/{HOSTS[0]}") == [["add", "as root, into web"]]
    assert no_secret_in(told.out + told.error, old)


def test_what_is_no_commissaire_is_told_so(
    password: list[str], other: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with OldService() as old:
        old.records.clear()
        told = Told(capsys, old.url, *password, *other)
    assert told.status == 1
    assert "has no API v0 of Commissaire" in told.error


def test_the_password_comes_from_a_private_file_a_variable_or_standard_input(
    old: OldService,
    password: list[str],
    other: list[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path(password[-1]).chmod(0o644)
    assert "chmod 600" in Told(capsys, old.url, *password, *other).error
    monkeypatch.setenv("COMMISSAIRE_2017_PASSWORD", PASSWORD)
    assert Told(capsys, old.url, *password[:2], *other).status == 0
    monkeypatch.delenv("COMMISSAIRE_2017_PASSWORD")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(PASSWORD.encode() + b"\n")))
    assert Told(capsys, old.url, *password[:2], "--password-file", "-", *other).status == 0
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO()))
    assert Told(capsys, old.url, *password[:2], *other).status == 2


@pytest.mark.parametrize(
    "url", [f"http://a:{PASSWORD}@127.0.0.1", "ftp://127.0.0.1", "127.0.0.1:8000", "http://[::1"]
)
def test_an_address_that_is_none_is_refused_and_a_password_in_it_is_not_quoted(
    url: str, other: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    told = Told(capsys, url, *other)
    assert told.status == 1
    assert PASSWORD not in told.error
    assert "Traceback" not in told.error
