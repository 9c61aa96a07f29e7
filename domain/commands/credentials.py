"""A host's credentials are replaced by others, which were tried on the host or are vouched for.

A try takes time. Meanwhile the host may have been removed, registered anew, or given another host
key: what was tried then is not what would be kept now, so it is refused.
"""

from dataclasses import dataclass, replace

from domain.aggregates.host import Host
from domain.commands.fleet_commands import OfferedKey, Secrets, Unit, has_certificate, has_key
from domain.refusal import conflict


@dataclass(frozen=True)
class Wanted:
    """The credentials that somebody wants a host to have. `None` means: as they are."""

    key: OfferedKey
    remote_user: str | None = None
    ssh_port: int | None = None


@dataclass(frozen=True)
class Login:
    """A way into one incarnation of a host: as whom, where, and which host key to insist on."""

    address: str
    incarnation: int
    remote_user: str
    ssh_port: int
    pinned_algorithm: str
    """As in SSH; "" where it is not known, or nothing is pinned."""
    pinned: str
    """Fingerprint of the host key; "" where there was no contact yet."""
    in_use: bool
    """Whether the host has these very credentials already."""

    def trusting(self, algorithm: str, fingerprint: str) -> "Login":
        """This login, trusting the host key of the first contact."""
        return replace(self, pinned_algorithm=algorithm, pinned=fingerprint)


def login(unit: Unit, secrets: Secrets, address: str, wanted: Wanted) -> Login:
    """What the wanted credentials come to on the host as it is now."""
    host = unit.host(address)
    host.must_exist()
    known = host.registration
    user, port = wanted.remote_user or known.remote_user, wanted.ssh_port or known.ssh_port
    same = (user, port) == (known.remote_user, known.ssh_port)
    return Login(
        address,
        host.incarnation,
        user,
        port,
        host.pinned_algorithm,
        host.pinned,
        same
        and has_key(unit, secrets, host, wanted.key)
        and has_certificate(unit, secrets, host, wanted.key),
    )


def rotate(
    unit: Unit, secrets: Secrets, address: str, wanted: Wanted, tried: Login | None
) -> Login:
    """Replace the credentials by those that were tried; `None`: somebody vouches for them.

    The credentials that the host has already are no news.
    """
    now = login(unit, secrets, address, wanted)
    host = unit.host(address)
    if tried is not None:
        _must_be_as_tried(host, tried)
        # What was not said is what it was when it was tried, whatever somebody else rotated since.
        wanted = replace(wanted, remote_user=tried.remote_user, ssh_port=tried.ssh_port)
        now = login(unit, secrets, address, wanted)
    if not now.in_use:
        fingerprint = wanted.key.parse(wanted.key.raw)
        host.rotate_credentials(fingerprint, now.remote_user, now.ssh_port)
        secrets.replace(unit, host.id, wanted.key.raw)
    return now


def _must_be_as_tried(host: Host, tried: Login) -> None:
    if host.incarnation != tried.incarnation:
        raise conflict(
            f"{host.name} was registered anew while the credentials were tried: nothing was"
            " changed. Send them again if they are for this one."
        )
    if host.pinned != tried.pinned:
        raise conflict(
            f"{host.name} was given another host key while the credentials were tried: nothing"
            " was changed. Send them again."
        )
