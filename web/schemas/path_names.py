"""Names and addresses in paths.

Where a PUT would create what the path names, an impossible name is a wrong request (400).
Everywhere else there simply is no such thing (404).
"""

from domain import names
from domain.refusal import Refusal, invalid, not_found
from web.http.requests import Request
from web.schemas.bodies import host_address


def new_name(request: Request) -> str:
    """The name of what a PUT creates."""
    return names.resource_name(request.path_params["name"])


def new_address(request: Request) -> str:
    """The canonical address of a host that a PUT registers."""
    return host_address(request.path_params["address"])


def own_address(request: Request) -> str:
    """The canonical address of the host that asks, for a PUT that registers it."""
    address, doubt = request.origin
    instead = "register the host with PUT /api/v0/host/ADDRESS."
    if doubt:
        raise invalid(f"{doubt} So it is not known who asks: {instead}")
    try:
        return host_address(address)
    except Refusal:
        # Link-local IPv6, whose zone is a name for one of our own interfaces.
        shown = names.quoted(address)
        raise invalid(f"{shown}, where this comes from, is no host address: {instead}") from None


def known_name(request: Request, what: str) -> str:
    """The name of something that should be there."""
    text: str = request.path_params["name"]
    try:
        return names.resource_name(text)
    except Refusal:
        raise not_found(f"There is no {what} {names.quoted(text)}.") from None


def known_account(request: Request, what: str) -> str:
    """The name of a user, token or session that should be there: `what` as the path has it.

    Those of old files may be any text without control characters.
    """
    text: str = request.path_params[what]
    if not text.isprintable():
        raise not_found(f"There is no {what} {names.quoted(text)}.")
    return text


def known_cluster(request: Request) -> str:
    """The name of a cluster that should be there."""
    return known_name(request, "cluster")


def known_address(request: Request) -> str:
    """The canonical address of a host that should be there."""
    try:
        return new_address(request)
    except Refusal:
        text = names.quoted(request.path_params["address"])
        raise not_found(f"There is no host {text}.") from None


def address_in(request: Request) -> str:
    """The canonical address, or the text itself where no host can have it."""
    try:
        return new_address(request)
    except Refusal:
        return str(request.path_params["address"])
