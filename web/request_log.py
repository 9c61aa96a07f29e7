"""What is kept of every request that was answered: a line in the log, and counts."""

from dataclasses import dataclass, field
from typing import Literal, Protocol

from web.authentication.tokens import without_tokens
from web.http.request_counts import RequestCounts


class ServiceLogWrite(Protocol):
    """Where log lines go."""

    def __call__(
        self, event: str, /, level: Literal["info", "error"] = "info", **fields: object
    ) -> None:
        """Write a line: what happened, and the fields that tell more."""
        ...


@dataclass(frozen=True)
class RequestLog:
    """Where a line for each request goes, if `log_requests`, and where requests are counted."""

    write: ServiceLogWrite
    log_requests: bool = True
    counts: RequestCounts = field(default_factory=RequestCounts)

    def tell(
        self,
        route: str,
        method: str,
        path: str,
        status: int,
        seconds: float,
        user: str,
        request_id: str,
        client: str,
    ) -> None:
        """Count a request that was answered, and write its line, if that is asked for."""
        self.counts.add(route, method, status, seconds)
        if self.log_requests:
            self.write(
                "request",
                method=method,
                path=path,
                status=status,
                ms=round(seconds * 1000, 2),
                user=user,
                request_id=request_id,
                client=client,
            )


def path_shown(raw_path: bytes) -> str:
    """A path as it may be kept."""
    return without_tokens(raw_path).decode("ascii", "replace")
