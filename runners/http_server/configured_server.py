"""The server as the settings want it: its limits, TLS, and what the log says of both."""

import ipaddress

from starlette.types import ASGIApp

from runners.http_server.connection_pool import Fault, KnownAnswers, Limits
from runners.http_server.server import Server
from runners.http_server.tls import Certificate, Tls, TlsFiles, WrongTls, is_expired
from runners.os_support.log_lines import ServiceLog
from runners.settings.settings import Settings
from web.http.clients import canonical


class ConfiguredServer:
    """A server that was started, and the TLS that it speaks, if any."""

    def __init__(
        self,
        settings: Settings,
        app: ASGIApp,
        tls: Tls | None,
        lines: ServiceLog,
        known: KnownAnswers | None = None,
    ) -> None:
        self._lines = lines
        self._host = settings.host
        self._tls = tls
        self.server = Server(
            app,
            settings.host,
            settings.port,
            _limits(settings),
            on_fault=self._tell_fault,
            tls=tls,
            known=known,
        )

    @property
    def address(self) -> str:
        """The URL that it answers at."""
        scheme = "http" if self._tls is None else "https"
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{scheme}://{host}:{self.server.port}"

    async def start(self) -> None:
        """Listen. Raises CannotListen."""
        await self.server.start()
        if self._tls is not None:
            self._tell_certificate("tls.on", self._tls.certificate)
        elif not _is_loopback(self._host):
            self._lines.write(
                "tls.off",
                level="warning",
                address=self.address,
                reason="passwords, tokens and private keys can be read on the network: --tls-cert",
            )

    def reload(self) -> None:
        """Read the certificates again, for new connections; broken ones change nothing."""
        if self._tls is None:
            return
        try:
            self._tls.reload()
        except WrongTls as wrong:
            self._lines.write("tls.broken", level="error", reason=f"{wrong}: the old one stays")
        else:
            self._tell_certificate("tls.reloaded", self._tls.certificate)

    def _tell_certificate(self, event: str, certificate: Certificate) -> None:
        self._lines.write(
            event,
            level="warning" if is_expired(certificate) else "info",
            expires=certificate.expires.isoformat(),
            sha256=certificate.fingerprint,
        )

    def _tell_fault(self, fault: Fault, client: str, request_id: str) -> None:
        self._lines.write(
            "request.refused", kind=fault.kind, client=canonical(client), request_id=request_id
        )


def tls_of(settings: Settings) -> Tls | None:
    """The TLS that the settings ask for. Raises WrongTls."""
    if settings.tls_cert is None:
        return None
    required = settings.tls_client_required
    return Tls(TlsFiles(settings.tls_cert, settings.tls_key, settings.tls_client_ca, required))


def _limits(settings: Settings) -> Limits:
    return Limits(
        header_bytes_max=settings.header_bytes_max,
        header_timeout_s=settings.header_timeout_s,
        body_bytes_max=settings.body_bytes_max,
        keep_alive_s=settings.keep_alive_s,
        connections_max=settings.connections_max,
        send_stall_s=settings.send_stall_s,
        tls_handshake_timeout_s=settings.tls_handshake_timeout_s,
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
