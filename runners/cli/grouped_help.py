"""Help in groups: the options that people change first, then the others by what they are about."""

from typing import Any

from typer.core import TyperCommand

GROUPS: dict[str, tuple[str, ...]] = {
    "What people change first": (
        "data", "database", "host", "port", "tls_cert", "tls_key", "users", "trusted_proxy",
        "bootstrap", "log_format",
    ),
    "Database and log": ("database", "accept", "refuse"),
    "Who may do what": ("tokens", "authenticator", "failed", "observers", "master"),
    "HTTPS": ("tls",),
    "Hosts": ("ssh", "investigation", "retry", "check"),
    "Operations and container managers": ("operation", "output", "gate", "node", "command"),
    "Several processes": ("runners", "lease"),
    "HTTP": ("body", "header", "keep", "connections", "listeners", "send"),
}  # fmt: skip
"""Names of options in the first group; in the others, their first words."""
FIRST = next(iter(GROUPS))
ELSE = "Everything else"


class GroupedHelp(TyperCommand):
    """A command whose options are told in groups."""

    # Any: what typer calls a context and a formatter has no public name.
    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the options, a heading for each group."""
        told: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                told.setdefault(_group(parameter.name or ""), []).append(record)
        order = GROUPS[FIRST]
        names = {f"--{name.replace('_', '-')}": number for number, name in enumerate(order)}
        told.get(FIRST, []).sort(key=lambda record: names.get(record[0].split()[0], 0))
        for group in (*GROUPS, ELSE):
            if group in told:
                with formatter.section(group):
                    formatter.write_dl(told[group])


def _group(name: str) -> str:
    if name in GROUPS[FIRST]:
        return FIRST
    word = name.partition("_")[0]
    others = (group for group, words in GROUPS.items() if group != FIRST and word in words)
    return next(others, ELSE)
