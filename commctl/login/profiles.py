"""Which server, and with which credentials.

The first wins: options; `COMMCTL_SERVER`, `_TOKEN`, `_TOKEN_FILE`, `_CA_FILE`, `_PROFILE`; the
profile of `$XDG_CONFIG_HOME/commctl/config.toml`; `~/.netrc`; the data directory of a service of
this machine; http://127.0.0.1:8000.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from commctl.exits import NoLogin, NoServer, WrongUse
from commctl.login.local_login import Local, find_local
from commctl.login.secret_files import read_private, read_secret

NOWHERE = "nowhere"
OF_PROFILE = "profile "
"""So an origin begins that is a profile."""
DEFAULT_URL = "http://127.0.0.1:8000"
COMMAND_TIMEOUT_S = 60
LOOPBACK = ("127.0.0.1", "::1", "localhost")
KNOWN = ("server", "ca", "token_file", "token_name", "token_command", "keyring")


class Password(NamedTuple):
    """A user and a password."""

    user: str
    password: str

    def __repr__(self) -> str:
        """Without the password."""
        return f"Password({self.user!r})"


@dataclass(frozen=True)
class Server:
    """A service, and who we are there: a token, or a user with a password."""

    url: str
    credentials: "str | Password | None" = None
    ca: Path | None = None
    """A file of certificates to trust in place of the system's."""
    certificate: Path | None = None
    """The only certificate to trust, by any name: of a service of this machine."""
    local: Path | None = None
    """The file that a service of this machine lets us in by; anew each time that it starts."""
    origin: str = NOWHERE
    """Where the credentials are from, for people."""
    is_chosen: bool = False
    """Whether somebody said that it is this one."""

    def __repr__(self) -> str:
        """Without the credentials."""
        return f"Server({self.url!r}, from {self.origin})"


class Chosen(NamedTuple):
    """What options say; None where they say nothing."""

    server: str | None = None
    profile: str | None = None
    ca: Path | None = None
    token_file: Path | None = None
    data: Path | None = None


def find_server(chosen: Chosen, environ: Mapping[str, str]) -> Server:
    """The server to speak to. Raises WrongUse or NoLogin."""
    profiles = read_profiles(environ)
    name = find_profile(chosen, environ, profiles)
    profile = profiles.by_name.get(name, {})
    url = chosen.server or environ.get("COMMCTL_SERVER")
    named = url or profile.get("server")
    local = _local(chosen.data, own_url(named) if named else None, environ)
    if named and local and _is_same(own_url(named), local.url):
        named = local.url
    server = Server(own_url(named or (local.url if local else DEFAULT_URL)), is_chosen=bool(named))
    if ca := chosen.ca or environ.get("COMMCTL_CA_FILE") or profile.get("ca"):
        server = replace(server, ca=Path(ca).expanduser())
    found = _credentials(chosen, environ, name, profile) or _of_netrc(server.url, environ)
    if found is not None:
        return replace(server, credentials=found[0], origin=found[1])
    if local is not None and server.url == local.url:
        return let_in_by(local, server)
    return server


def find_profile(chosen: Chosen, environ: Mapping[str, str], profiles: "Profiles") -> str:
    """The name of the profile that is meant; "" for none. Raises WrongUse."""
    name = chosen.profile or environ.get("COMMCTL_PROFILE") or profiles.default
    if not name:
        return ""
    if name not in profiles.by_name:
        known = ", ".join(profiles.by_name) or "there is none"
        raise WrongUse(f"There is no profile {name} in {profiles.path} ({known}).")
    url, its = chosen.server or environ.get("COMMCTL_SERVER"), profiles.by_name[name].get("server")
    if url and its not in (None, own_url(url)) and not chosen.profile:
        return ""  # its credentials are another server's
    return name


def server_of(name: str, ca: Path | None, environ: Mapping[str, str]) -> Server:
    """That of a profile, by its own credentials, whatever the environment says of others.

    Raises WrongUse or NoLogin.
    """
    others = ("COMMCTL_SERVER", "COMMCTL_PROFILE", "COMMCTL_TOKEN", "COMMCTL_TOKEN_FILE")
    left = {key: value for key, value in environ.items() if key not in others}
    return find_server(Chosen(profile=name, ca=ca), left)


def _local(data: Path | None, url: str | None, environ: Mapping[str, str]) -> Local | None:
    """The service of this machine that may be meant. Raises NoServer where it has to be it."""
    if url is not None and _host(url) not in LOOPBACK:
        return None
    try:
        return find_local(data, environ)
    except NoServer:
        if data is not None or url is None:
            raise
        return None  # COMMCTL_DATA is a word too many: what was said before it wins


def let_in_by(local: Local, server: Server) -> Server:
    """A service of this machine, as it says now that it is reached."""
    return replace(
        server,
        url=own_url(local.url),
        credentials=local.token,
        certificate=local.certificate,
        local=local.path,
        origin=str(local.path),
    )


def _credentials(
    chosen: Chosen, environ: Mapping[str, str], name: str, profile: Mapping[str, str]
) -> tuple[str, str] | None:
    if chosen.token_file is not None:
        return read_secret(chosen.token_file), str(chosen.token_file)
    if token := environ.get("COMMCTL_TOKEN"):
        return token.strip(), "COMMCTL_TOKEN"
    if file := environ.get("COMMCTL_TOKEN_FILE"):
        return read_secret(Path(file).expanduser()), file
    origin = f"{OF_PROFILE}{name}"
    if file := profile.get("token_file"):
        return read_secret(Path(file).expanduser()), origin
    if command := profile.get("token_command"):
        return _said_by(command), origin
    if entry := profile.get("keyring"):
        from commctl.login.keyring_entry import read_entry

        return read_entry(entry), origin
    return None


def _said_by(command: str) -> str:
    import shlex
    import subprocess

    try:
        done = subprocess.run(
            shlex.split(command), stdout=subprocess.PIPE, check=True, timeout=COMMAND_TIMEOUT_S
        )
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise NoLogin(f"token_command: {command}: {error}") from None
    return done.stdout.decode().strip()


def _of_netrc(url: str, environ: Mapping[str, str]) -> tuple[Password, str] | None:
    path = Path(environ.get("NETRC") or Path(environ.get("HOME", "/nonexistent")) / ".netrc")
    if not path.is_file():
        return None
    import netrc

    read_private(path)  # refuses one that others can read
    try:
        entries = netrc.netrc(path)
    except (OSError, netrc.NetrcParseError) as error:
        raise WrongUse(f"{path}: {error}") from None
    host = _host(url)
    for name in (host, *(LOOPBACK if host in LOOPBACK else ())):
        if name in entries.hosts:
            user, _, password = entries.hosts[name]
            return Password(user, password or ""), str(path)
    return None


def _is_same(url: str, local: str) -> bool:
    """Whether a URL of this machine is another name of that one."""
    return urlsplit(url)[0] == urlsplit(local)[0] and urlsplit(url).port == urlsplit(local).port


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""


def own_url(text: str) -> str:
    """A URL as it is kept and compared: with a scheme, without a slash at the end."""
    url = (text if "://" in text else f"http://{text}").rstrip("/")
    wrong = WrongUse(f"{text} is no URL of a server: such as https://commissaire.example")
    try:
        parts = urlsplit(url)
        _ = parts.port  # checked only where it is asked for
    except ValueError:
        raise wrong from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise wrong
    if parts.username or parts.password:
        raise WrongUse("A URL holds no password: use `commctl login`, --token-file or ~/.netrc.")
    return url


class Profiles(NamedTuple):
    """What config.toml says."""

    path: Path
    default: str | None
    by_name: Mapping[str, Mapping[str, str]]


def config_directory(environ: Mapping[str, str]) -> Path:
    """Where our own files are."""
    base = environ.get("XDG_CONFIG_HOME") or Path(environ.get("HOME", "/nonexistent")) / ".config"
    return Path(base) / "commctl"


def read_profiles(environ: Mapping[str, str]) -> Profiles:
    """The profiles. Raises WrongUse for a file that cannot be understood."""
    path = config_directory(environ) / "config.toml"
    try:
        text = path.read_text()
    except FileNotFoundError:
        return Profiles(path, None, {})
    except OSError as error:
        raise WrongUse(f"{path}: {error.strerror}") from None
    import tomllib

    try:
        told = tomllib.loads(text)
        by_name = told.get("profile", {})
        for name, profile in by_name.items():
            for key, value in profile.items():
                if key not in KNOWN or not isinstance(value, str):
                    raise WrongUse(
                        f"{path}: {key} of profile {name} is none of {', '.join(KNOWN)}."
                    )
            if "server" in profile:
                profile["server"] = own_url(profile["server"])
    except (tomllib.TOMLDecodeError, AttributeError) as error:
        raise WrongUse(f"{path}: {error}") from None
    return Profiles(path, told.get("default"), by_name)


def write_profiles(profiles: Profiles) -> None:
    """Replace config.toml."""
    from commctl.login.secret_files import write_private

    lines = [f'default = "{profiles.default}"\n'] if profiles.default else []
    for name, profile in profiles.by_name.items():
        lines.append(f'\n[profile."{name}"]\n')
        lines += [f"{key} = {_toml(value)}\n" for key, value in profile.items()]
    write_private(profiles.path, "".join(lines))


def _toml(text: str) -> str:
    import json

    return json.dumps(text)  # a basic string of TOML is one of JSON


def say_where_from(server: Server) -> str:
    """For people: who we are there."""
    match server.credentials:
        case Password(user, _):
            return f"{user}, by {server.origin}"
        case None:
            return "nobody"
        case _:
            return f"a token, by {server.origin}"
