"""What a log-out does by what the service answers; and how refusals of log-ins are told."""

from pathlib import Path

import pytest

from commctl.main import run
from tests.commctl.played import FORBIDDEN, Answer, Played

WRONG = 403, {"type": "urn:commissaire:problem:forbidden", "detail": "The token is wrong."}
TOO_MANY = (
    429,
    {"type": "urn:commissaire:problem:too-many-failures", "detail": "Try again in 9 seconds."},
)


@pytest.mark.parametrize(
    ("deleted", "clusters", "status", "said"),
    [
        ((200, {}), (200, []), 0, "here is forgotten"),
        (WRONG, WRONG, 0, "log in again: commctl login"),
        (FORBIDDEN, (200, []), 1, "That is not allowed."),
        (FORBIDDEN, None, 1, "That is not allowed."),
        (TOO_MANY, TOO_MANY, 1, "Try again in 9 seconds."),
    ],
    ids=["revoked", "ended", "not allowed", "nobody knows", "too many log-ins"],
)
def test_a_token_is_kept_that_may_be_alive(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    deleted: Answer,
    clusters: Answer,
    status: int,
    said: str,
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    token = tmp_path / "here.token"
    token.touch(mode=0o600)
    token.write_text("cmsr_of_here")
    config = tmp_path / ".config/commctl/config.toml"
    config.parent.mkdir(parents=True)
    with Played({"DELETE token/it": deleted, "GET clusters": clusters}) as played:
        profile = f'server = "{played.url}"\ntoken_file = "{token}"\ntoken_name = "it"\n'
        config.write_text(f'default = "here"\n[profile.here]\n{profile}')
        assert run(["logout"]) == status
    told = capsys.readouterr().err
    assert said in told
    assert told.endswith("here is forgotten.\n")
    assert token.exists() == bool(status)
    assert "here" not in config.read_text()
    assert ("log in again" in told) == (deleted is WRONG)


def test_only_a_profile_is_logged_in_to_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("COMMCTL_TOKEN", "cmsr_wrong")
    with Played({"GET clusters": WRONG}) as played:
        assert run(["cluster", "list", "-s", played.url]) == 6
    told = capsys.readouterr().err
    assert "The log-in is from COMMCTL_TOKEN." in told
    assert "log in again" not in told
