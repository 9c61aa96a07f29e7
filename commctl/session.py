"""What one command works with: the options of all commands, the server, and where it speaks."""

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, cast

import typer

from commctl.login.profiles import Chosen, Server, find_server
from commctl.show.output import Output

if TYPE_CHECKING:
    from commctl.api import Api


@dataclass(frozen=True)
class Globals:
    """The options of all commands."""

    profile: str | None = None
    server: str | None = None
    output: str | None = None
    quiet: bool = False
    no_color: bool = False
    utc: bool = False
    header: bool = False
    ca: Path | None = None
    token_file: Path | None = None
    data: Path | None = None
    request: str | None = None
    note: str | None = None


class Session:
    """One command."""

    def __init__(self, options: Globals) -> None:
        self.options = options
        self.out = Output(
            options.output,
            quiet=options.quiet,
            no_color=options.no_color,
            utc=options.utc,
            header=options.header,
        )

    @property
    def chosen(self) -> Chosen:
        """What options say of the service."""
        o = self.options
        return Chosen(o.server, o.profile, o.ca, o.token_file, o.data)

    @cached_property
    def server(self) -> Server:
        """The service that is spoken to."""
        return find_server(self.chosen, os.environ)

    @cached_property
    def api(self) -> "Api":
        """A client of it."""
        from commctl.api import Api  # with httpx, which `--help` does not need

        return Api(self.server, request=self.options.request, note=self.options.note)

    def close(self) -> None:
        """Close what was opened."""
        if "api" in self.__dict__:
            self.api.close()


def session(ctx: typer.Context) -> Session:
    """That of the command that runs."""
    return cast("Session", ctx.find_root().obj)
