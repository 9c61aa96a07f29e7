"""Settings: where they come from, what is refused, and that secrets stay secret."""

from pathlib import Path

import pytest

from runners.settings.kinds import sources
from runners.settings.reading import WrongSettings, flag, read_settings, variable
from runners.settings.settings import Settings


def wrong(flags: dict[str, object], environ: dict[str, str] | None = None) -> str:
    with pytest.raises(WrongSettings) as refused:
        read_settings(flags, environ or {})
    return str(refused.value)


def config(tmp_path: Path, text: str) -> str:
    path = tmp_path / "commissaire.toml"
    path.write_text(text)
    return str(path)


def test_flags_win_over_variables_over_the_file_over_defaults(tmp_path: Path) -> None:
    file = config(tmp_path, "port = 1\nhost = 'file'\nssh_parallel = 3")
    environ = {"COMMISSAIRE_PORT": "2", "COMMISSAIRE_HOST": "variable"}
    settings = read_settings({"config": file, "port": "4"}, environ)
    assert (settings.port, settings.host, settings.ssh_parallel) == (4, "variable", 3)
    assert settings.body_bytes_max == 1024 * 1024


def test_the_file_may_be_named_by_its_variable(tmp_path: Path) -> None:
    file = config(tmp_path, "log_format = 'text'\nlog_requests = false")
    settings = read_settings({}, {"COMMISSAIRE_CONFIG": file})
    assert settings.log_format == "text"
    assert not settings.log_requests


def test_a_setting_of_several_is_repeated_or_has_commas_or_is_a_list(tmp_path: Path) -> None:
    file = config(tmp_path, "trusted_proxy = ['10.0.0.0/8', '2001:db8::/32']")
    environ = {"COMMISSAIRE_TRUSTED_PROXY": "192.0.2.7, 10.1.0.0/16"}

    def networks(flags: dict[str, object], environ: dict[str, str]) -> list[str]:
        return [str(network) for network in read_settings(flags, environ).trusted_proxy]

    assert networks({}, {}) == []
    assert networks({"config": file}, {}) == ["10.0.0.0/8", "2001:db8::/32"]
    assert networks({"config": file, "trusted_proxy": []}, environ) == [
        "192.0.2.7/32",
        "10.1.0.0/16",
    ]
    assert networks({"trusted_proxy": ["::1", "10.0.0.0/8"]}, environ) == ["::1/128", "10.0.0.0/8"]


@pytest.mark.parametrize(
    "network",
    ["10.0.0.1/8", "proxy.example", "10.0.0.0/8,", "::ffff:a00:0/104", "0.0.0.0/0", "::/0"],
)
def test_what_is_no_network_of_proxies_is_refused(network: str) -> None:
    line = wrong({}, {"COMMISSAIRE_TRUSTED_PROXY": network})
    assert line.startswith("trusted_proxy (from COMMISSAIRE_TRUSTED_PROXY): must ")
    assert "\n" not in line


def test_an_empty_variable_is_one_that_is_not_set() -> None:
    assert read_settings({}, {"COMMISSAIRE_PORT": ""}).port == 8000


def test_files_are_in_the_data_directory_unless_named() -> None:
    settings = read_settings({"data": "/d", "users": "/etc/users"}, {})
    assert settings.database_file == Path("/d/commissaire.db")
    assert settings.vault_key_file == Path("/d/master.key")
    assert settings.users_file == Path("/etc/users")
    assert read_settings({"data": "/d"}, {}).users_file == Path("/d/users.json")


@pytest.mark.parametrize(
    ("flags", "environ", "sentence"),
    [
        ({"port": "x"}, {}, "port (from --port): must be a whole number, not 'x'"),
        (
            {},
            {"COMMISSAIRE_PORT": "tcp://10.0.0.1:80"},
            "port (from COMMISSAIRE_PORT): must be a whole number, not 'tcp://10.0.0.1:80'",
        ),
        (
            {"port": "65536"},
            {},
            "port (from --port): must be less than or equal to 65535, not '65536'",
        ),
        (
            {"retry_pause_s": "nan"},
            {},
            "retry_pause_s (from --retry-pause-s): must be a finite number, not 'nan'",
        ),
        (
            {"retry_pause_s": "7200"},
            {},
            "retry_pause_max_s (its default): must not be shorter than retry_pause_s",
        ),
        ({"users": " "}, {}, "users (from --users): must not be empty, not ' '"),
        (
            {"log_format": "xml"},
            {},
            "log_format (from --log-format): must be 'json' or 'text', not 'xml'",
        ),
        (
            {"log_format": "\x1b[31m\n"},
            {},
            r"log_format (from --log-format): must be 'json' or 'text', not '\x1b[31m\n'",
        ),
    ],
)
def test_a_wrong_setting_is_a_line_that_names_it_and_its_origin(
    flags: dict[str, object], environ: dict[str, str], sentence: str
) -> None:
    assert wrong(flags, environ) == sentence


def test_each_wrong_setting_has_its_line() -> None:
    lines = wrong({"port": "x", "ssh_parallel": "0"}).splitlines()
    assert [line.split(" ")[0] for line in lines] == ["port", "ssh_parallel"]


def test_the_file_is_named_where_its_value_is_wrong(tmp_path: Path) -> None:
    file = config(tmp_path, "port = true")
    assert wrong({"config": file}).startswith(f"port (from port in {file}): must not be a truth")


@pytest.mark.parametrize("key", ["prot = 1", "master_key = 'x'", "config = 'x'", "[ssh]\na = 1"])
def test_keys_that_are_no_settings_are_refused(tmp_path: Path, key: str) -> None:
    file = config(tmp_path, key)
    assert wrong({"config": file}).endswith(f"in {file} (from --config) is not a setting")


@pytest.mark.parametrize("text", ["port = ", "= 1", "a = 1\na = 2", "\x00"])
def test_a_file_that_is_no_toml_is_one_line(tmp_path: Path, text: str) -> None:
    file = config(tmp_path, text)
    sentence = wrong({}, {"COMMISSAIRE_CONFIG": file})
    assert sentence.startswith(f"config {file} (from COMMISSAIRE_CONFIG) is not a TOML file:")
    assert "\n" not in sentence


@pytest.mark.parametrize("path", ["/nowhere/at.all", "/", "~nobody-of-that-name/x"])
def test_a_file_that_cannot_be_read_is_one_line(path: str) -> None:
    assert wrong({"config": path}).startswith(f"config {path} (from --config) cannot be read: ")


def test_the_home_directory_is_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert read_settings({}, {"COMMISSAIRE_DATA": "~/data"}).data == tmp_path / "data"


@pytest.mark.parametrize(
    "url",
    [
        "mysql://ada:pa55@db/x",
        "ada:pa55@db",
        "postgresql://ada:pa55@db:port/x",
        "postgresql://ada:pa55@[db/x",
        "postgresql://ada:1?pa55@db/x",
        "postgresql://ada:1/pa55@db/x",
        "postgresql://ada:%pa55@db/x",
        "postgresql://ada:pa55@db/x?no_such_parameter=1",
        "postgresql://ada:pa55@db/x?connect_timeout=soon",
        "postgresql://ada:pa55@db1,db2,db3/x?port=5432,5433",
    ],
)
def test_a_wrong_database_is_refused_without_its_password(url: str) -> None:
    sentence = wrong({}, {"COMMISSAIRE_DATABASE": url})
    assert sentence.startswith("database (from COMMISSAIRE_DATABASE): must ")
    assert "pa55" not in sentence


@pytest.mark.parametrize("scheme", ["postgresql", "postgres"])
def test_the_password_of_the_database_is_for_the_driver_only(scheme: str) -> None:
    environ = {
        "COMMISSAIRE_DATABASE": f"{scheme}://ada:pa55@db:5432/fleet?password=pa55",
        "COMMISSAIRE_MASTER_KEY": "k3y",
    }
    settings = read_settings({}, environ)
    assert settings.database_url == "postgresql://ada:pa55@db:5432/fleet?password=pa55"
    assert settings.database_shown == "postgresql://db:5432/fleet"
    for shown in (repr(settings), str(settings), repr(settings.model_dump())):
        assert "pa55" not in shown
        assert "k3y" not in shown
    assert settings.master_key is not None
    assert settings.master_key.get_secret_value() == "k3y"


def test_two_master_keys_are_refused() -> None:
    sentence = wrong({"master_key_file": "/k"}, {"COMMISSAIRE_MASTER_KEY": "k3y"})
    assert "together with master_key_file" in sentence
    assert "k3y" not in sentence


def test_every_setting_has_help_and_a_flag_but_for_the_master_key_and_tables() -> None:
    without_flag = set()
    for name, field in Settings.model_fields.items():
        assert field.description, name
        shown = "flag" in sources(field).allowed and field.annotation is not bool
        assert sources(field).metavar or not shown, name
        if "flag" not in sources(field).allowed:
            without_flag.add(name)
    assert without_flag == {"master_key", "sources", "gates"}
    assert flag("ssh_parallel") == "--ssh-parallel"
    assert variable("ssh_parallel") == "COMMISSAIRE_SSH_PARALLEL"
