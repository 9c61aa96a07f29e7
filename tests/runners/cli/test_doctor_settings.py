"""`commissaire doctor` names what a file of settings has that counts for nothing, or is wrong."""

import json
from pathlib import Path

import pytest

from runners.cli.main import run

OLD = """
{
    "listen-port": 8123,
    "data": "%s",
    "authentication-plugin": {"users": {"ada": {"hash": "$2b$made-up"}}}
}
"""


def findings(
    capsys: pytest.CaptureFixture[str], config: Path, *more: str
) -> tuple[int, list[dict[str, str]]]:
    """The exit status, and all that was found."""
    capsys.readouterr()
    status = run(["doctor", "--json", "--config", str(config), *more])
    found: list[dict[str, str]] = json.loads(capsys.readouterr().out)
    return status, found


def test_keys_of_2017_without_a_counterpart_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (config := tmp_path / "commissaire.conf").write_text(OLD % tmp_path)
    _, found = findings(capsys, config)
    of_settings = [each for each in found if each["what"] == "settings"]
    assert {each["state"] for each in of_settings} == {"warning"}
    told = " ".join(each["found"] for each in of_settings)
    assert "listen-port" in told
    assert "is port meant?" in told
    assert "authentication-plugin" in told
    assert "made-up" not in str(found)  # no value is told, which may be secret
    assert all(each["action"] for each in of_settings)
    assert "data directory" in {each["what"] for each in found}, "the rest was looked at"


def test_settings_that_are_none_are_all_named_and_no_directory_is_guessed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (config := tmp_path / "commissaire.toml").write_text('porrt = 1\nhosst = "x"\n')
    status, found = findings(capsys, config, "--data", str(tmp_path))
    assert status == 1
    told = [each for each in found if each["state"] != "ok"]
    assert {each["what"] for each in told} == {"settings"}
    assert ["hosst" in told[0]["found"], "porrt" in told[1]["found"]] == [True, True]
    assert "data directory" not in {each["what"] for each in found}
    (config := tmp_path / "other.toml").write_text("port = 99999999\n")
    assert "port" in findings(capsys, config)[1][-1]["found"]
    assert findings(capsys, tmp_path / "none.toml")[0] == 1
