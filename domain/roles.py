"""Roles: what somebody may do, everywhere and in some clusters."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

Role = Literal["viewer", "operator", "admin"]
ROLES: tuple[Role, ...] = ("viewer", "operator", "admin")
"""Each may do what those before it may."""

Clusters = Mapping[str, Role]
"""The roles that somebody has in clusters, beyond the one that they have everywhere."""


class Standing(NamedTuple):
    """The role that somebody has everywhere, and those in some clusters."""

    role: Role
    clusters: tuple[tuple[str, Role], ...] = ()
    """By the clusters' names, sorted; none that is no more than `role`."""

    def role_in(self, cluster: str) -> Role:
        """The role in one cluster; "" is none of them."""
        for name, role in self.clusters:
            if name == cluster:
                return higher(self.role, role)
        return self.role

    def covers(self, other: "Standing") -> bool:
        """Whether it includes all that the other may do, wherever."""
        return includes(self.role, other.role) and all(
            includes(self.role_in(name), role) for name, role in other.clusters
        )

    def within(self, limit: "Standing") -> "Standing":
        """As much of it as the other may do as well."""
        names = {name for name, _ in (*self.clusters, *limit.clusters)}
        least = {name: lower(self.role_in(name), limit.role_in(name)) for name in names}
        return standing(lower(self.role, limit.role), least)


def standing(role: Role, clusters: Clusters | None = None) -> Standing:
    """A standing, in its one form: the same rights are the same standing."""
    more = sorted((name, theirs) for name, theirs in (clusters or {}).items())
    return Standing(role, tuple(pair for pair in more if not includes(role, pair[1])))


def includes(role: Role, other: Role) -> bool:
    """Whether a role may do what the other may."""
    return ROLES.index(role) >= ROLES.index(other)


def higher(one: Role, other: Role) -> Role:
    """The one of two roles that may do more."""
    return one if includes(one, other) else other


def lower(one: Role, other: Role) -> Role:
    """The one of two roles that may do less."""
    return other if includes(one, other) else one
