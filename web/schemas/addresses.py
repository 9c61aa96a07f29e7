"""What host addresses look like, for readers of `/openapi.json`; `domain.names` is what checks.

A test holds these patterns against the check.
"""

from domain import names

LABEL = "[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"

IPV4 = {
    "title": "IPv4 address",
    "type": "string",
    "pattern": f"^{names.IPV4.pattern}$",
}
IPV6 = {
    "title": "IPv6 address",
    "type": "string",
    "format": "ipv6",
    # The same: not `::`, not ff00::/8, not fe80::/10; and no zone.
    "pattern": "^(?=.*:)(?=.*[1-9A-Fa-f])(?![Ff]{2}[0-9A-Fa-f]{2}:)"
    "(?![Ff][Ee][89ABab][0-9A-Fa-f]:)[0-9A-Fa-f:.]+$",
}
HOST_NAME = {
    "title": "host name",
    "type": "string",
    # Its last label must not be what a resolver would read as a number.
    "pattern": (rf"^(?=.{{1,253}}$)({LABEL}\.)*(?![0-9]+$)(?!0[Xx][0-9A-Fa-f]*$){LABEL}$"),
}

SCHEMA = {
    "anyOf": [IPV4, IPV6, HOST_NAME],
    "description": "An IPv4 or IPv6 address or a host name (RFC 1123).",
    "examples": ["192.168.100.50"],
}
