"""`commctl login|logout|whoami`: who we are to a service, and where that is kept."""

import getpass
import os
import socket
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from commctl.exits import DONE, REFUSED, Ended, NoLogin, Refused, WrongUse
from commctl.login.profiles import (
    Password,
    Profiles,
    Server,
    config_directory,
    find_profile,
    own_url,
    read_profiles,
    say_where_from,
    server_of,
    write_profiles,
)
from commctl.login.secret_files import read_secret, write_private
from commctl.records import Record
from commctl.session import Session, session

if TYPE_CHECKING:
    from commctl.api import Api

EXPIRES = "30d"
FORBIDDEN = 403
PasswordStdin = Annotated[
    bool, typer.Option("--password-stdin", help="Read it from standard input.")
]


def login(
    ctx: typer.Context,
    url: Annotated[
        str | None,
        typer.Argument(metavar="URL", help="Such as https://commissaire.example; else that of -s."),
    ] = None,
    user: Annotated[str | None, typer.Option("-u", "--user", metavar="USER")] = None,
    expires: Annotated[
        str, typer.Option(metavar="SPAN|TIME", help="The end of the token: 60s, 12h, 30d, 2w.")
    ] = EXPIRES,
    password_stdin: PasswordStdin = False,
) -> int:
    """Log in, and speak to this service from now on.

    A user and a password are asked for, and a token with an end is made of them, which is kept for
    your eyes only; --token-file names one that there is. --profile is what the server is called.
    """
    from commctl.api import Api

    use = session(ctx)
    server = replace(Server(_url(use, url), is_chosen=True), ca=_ca(use))
    profiles = read_profiles(os.environ)
    name = use.options.profile or server.url.partition("//")[2].replace(":", "-")
    before, profile = profiles.by_name.get(name, {}), {"server": server.url}
    if server.ca is not None:
        profile["ca"] = str(server.ca)
    if use.options.token_file is not None:
        token_file = use.options.token_file.absolute()
        known = replace(server, credentials=read_secret(token_file), origin=str(token_file))
        profile["token_file"] = str(token_file)
        with Api(known) as api:
            me = _who(api)
        if before.get("token_file") == profile["token_file"]:
            profile |= {key: before[key] for key in ("token_name",) if key in before}
        elif "token_name" in before:
            _end_token(use, name, before, known.credentials)
    else:
        user = user or _ask(f"User of {server.url}: ")
        password = ask_password(f"Password of {user}: ", from_stdin=password_stdin)
        with Api(replace(server, credentials=Password(user, password))) as api:
            me = _who(api)
            profile |= _token(use, api, me, expires, before, name)
    write_profiles(Profiles(profiles.path, name, {**profiles.by_name, name: profile}))
    use.out.say(f"{me['name']} ({me['role']}) at {server.url}, profile {name}")
    return DONE


def _token(
    use: Session, api: "Api", me: Record, expires: str, before: Mapping[str, str], name: str
) -> dict[str, str]:
    """Make a token and keep it, in place of the one before; gives what the profile says of it."""
    here, some = socket.gethostname().partition(".")[0][:32], os.urandom(4).hex()
    token_name = f"commctl-{here}-{some}-{int(time.time())}"
    body: Record = {"role": me["role"], "clusters": me["clusters"], "expires": expires}
    token = api.put(f"token/{token_name}", body)
    file = config_directory(os.environ) / f"{name}.token"
    try:
        kept = _keep(before.get("keyring"), file, str(token["token"]))
    except BaseException:  # nobody would ever use it
        with suppress(Ended):
            api.delete(f"token/{token_name}")
        raise
    if "token_name" in before and before.get("server") == api.transport.server.url:
        with suppress(Ended):  # it may have ended, or be somebody else's
            api.delete(f"token/{before['token_name']}")
    (place,) = kept.values()
    use.out.say(f"A token until {token['expires'][:16].replace('T', ' ')} UTC: {place}")
    return {**kept, "token_name": token_name}


def _keep(keyring: str | None, file: Path, token: str) -> dict[str, str]:
    """In the keyring, where the profile says so; else in a file. Gives what the profile says."""
    if keyring is not None:
        from commctl.login.keyring_entry import write_entry

        write_entry(keyring, token)
        return {"keyring": keyring}
    write_private(file, f"{token}\n")
    return {"token_file": str(file)}


def _who(api: "Api") -> Record:
    """Who is let in. Raises Refused where that is no Commissaire."""
    me = api.get("me")
    if not isinstance(me, dict) or not {"name", "role", "clusters"} <= me.keys():
        raise Refused(f"{api.transport.server.url} is no Commissaire.")
    return me


def _url(use: Session, argument: str | None) -> str:
    """The service to log in to, said once. Raises WrongUse."""
    said = {own_url(url) for url in (argument, use.options.server) if url is not None}
    if len(said) != 1:
        which = " or ".join(sorted(said))
        raise WrongUse(f"Which service, {which}?" if said else "Which service? commctl login URL")
    return said.pop()


def _ca(use: Session) -> Path | None:
    named = use.options.ca or os.environ.get("COMMCTL_CA_FILE")
    return Path(named).expanduser().absolute() if named else None


def _ask(question: str) -> str:
    if not sys.stdin.isatty():
        raise WrongUse("Nobody is here to ask: -u USER, and --password-stdin.")
    sys.stderr.write(question)
    sys.stderr.flush()
    return sys.stdin.readline().strip()


def ask_password(question: str, *, from_stdin: bool | None, twice: bool = False) -> str:
    """A password, which nobody sees; None where it cannot come from stdin. Raises WrongUse."""
    if from_stdin:
        return sys.stdin.readline().rstrip("\n")
    if not sys.stdin.isatty():
        more = "this wants a terminal" if from_stdin is None else "--password-stdin"
        raise WrongUse(f"Nobody is here to ask for a password: {more}.")
    password = getpass.getpass(question)
    if twice and getpass.getpass("Once more: ") != password:
        raise WrongUse("These were two different passwords.")
    return password


def logout(ctx: typer.Context) -> int:
    """Revoke the token of a log-in, and forget it."""
    use = session(ctx)
    profiles = read_profiles(os.environ)
    name = find_profile(use.chosen, os.environ, profiles)
    if not name:
        raise Refused("There is no log-in to end.")
    profile, url = profiles.by_name[name], use.options.server
    if url is not None and profile.get("server") not in (None, own_url(url)):
        raise WrongUse(f"Profile {name} is of {profile['server']}, not of {own_url(url)}.")
    is_ended = "token_name" not in profile or _end_token(use, name, profile)
    left = {key: known for key, known in profiles.by_name.items() if key != name}
    default = None if profiles.default == name else profiles.default
    write_profiles(Profiles(profiles.path, default, left))
    use.out.say(f"{name} is forgotten.")
    return DONE if is_ended else REFUSED


def _end_token(use: Session, name: str, profile: Mapping[str, str], stays: object = None) -> bool:
    """Revoke the token of a log-in, and remove it here once it is dead; unless it `stays` in use.

    False where either was not done, which is said.
    """
    from commctl.api import Api

    place = profile.get("keyring") or profile.get("token_file", "")
    try:
        server = server_of(name, use.options.ca, os.environ)
        if stays is not None and server.credentials == stays:
            return True
        with Api(server, request=use.options.request, note=use.options.note) as api:
            api.delete(f"token/{profile['token_name']}")
    except Ended as ended:
        use.out.say(f"The token could not be revoked: {' '.join(ended.sentences)}")
        if not isinstance(ended, NoLogin) or ended.code != FORBIDDEN:
            use.out.say(f"{place} stays as it is.")
            return False
        # The service refuses this very token: it has ended by itself.
    try:
        if "keyring" in profile:
            from commctl.login.keyring_entry import remove_entry

            remove_entry(place)
        elif "token_file" in profile:
            Path(place).expanduser().unlink(missing_ok=True)
    except (Ended, OSError) as error:
        why = " ".join(error.sentences) if isinstance(error, Ended) else str(error.strerror)
        use.out.say(f"{place} could not be removed: {why}")
        return False
    return True


def whoami(ctx: typer.Context) -> int:
    """Who we are to the service, and what we may do."""
    use = session(ctx)
    me = use.api.get("me")
    shown = {
        "name": me["name"],
        "role": me["role"],
        "clusters": me["clusters"],
        "server": use.server.url,
        "log-in": say_where_from(use.server),
    }
    use.out.record(shown, me, me["name"])
    return DONE
