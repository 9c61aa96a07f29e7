"""A connection of asyncssh that reads in small pieces, and limits how much a host may send.

asyncssh takes all messages of one read in one turn of the event loop, and copies the rest of that
read with each of them; a read may have 16,000 messages. It sets no limit to messages that it
ignores, and does not tell that a key was taken and something else is wanted besides. Four of its
methods are overridden for that, two of them private: pyproject.toml has an upper bound for its
version, and tests/runners/ssh notice where the private ones change.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, cast

import asyncssh
from asyncssh.packet import SSHPacket

PIECE_BYTES = 2048  # given to asyncssh in one turn of the event loop
LOGIN_BYTES_MAX = 256 * 1024  # until the login is done; the text that sshd shows before it is most
LOGIN_MESSAGES_MAX = 200  # until the login is done; sshd needs ten to twenty
COMMAND_MESSAGES_MAX = 1000  # that bring no output, while a command runs: keys anew, keepalives …

MSG_USERAUTH_FAILURE = 51
# RFC 4250, 4.1.2: what is worth naming, since a host can send it without being asked.
NAMES = {
    2: "SSH_MSG_IGNORE",
    3: "SSH_MSG_UNIMPLEMENTED",
    4: "SSH_MSG_DEBUG",
    7: "SSH_MSG_EXT_INFO",
    20: "SSH_MSG_KEXINIT",
    51: "SSH_MSG_USERAUTH_FAILURE",
    53: "SSH_MSG_USERAUTH_BANNER",
    80: "SSH_MSG_GLOBAL_REQUEST",
    90: "SSH_MSG_CHANNEL_OPEN",
    93: "SSH_MSG_CHANNEL_WINDOW_ADJUST",
    94: "empty SSH_MSG_CHANNEL_DATA",
    95: "empty SSH_MSG_CHANNEL_EXTENDED_DATA",
    98: "SSH_MSG_CHANNEL_REQUEST",
}


class Flood(asyncssh.ProtocolError):
    """A host sent more than any use needs; `reason` continues a sentence about the host."""


class Wire(asyncssh.SSHClientConnection):
    """A connection to a host, with a budget of messages for the login and for each command."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self._tcp: asyncio.Transport | None = None
        self._unread = bytearray()
        self._bytes_left: int | None = LOGIN_BYTES_MAX
        self._messages_max = self._messages_left = LOGIN_MESSAGES_MAX
        self._seen: Counter[int] = Counter()
        self.flood: Flood | None = None
        """Why we hung up, where the host sent too much."""
        self.is_half_in = False
        """Whether the host took our key, and wants another method besides (RFC 4252, 5.1)."""
        self.is_at_rest = False
        """Whether the last command, and what it left behind, has come to its end."""
        self.when_lost: Callable[[], None] = lambda: None
        """Called as soon as the connection has ended."""
        super().__init__(*args, **options)

    def begin_command(self) -> None:
        """Set the budget of messages for one command."""
        self.is_at_rest = False
        self._bytes_left = None
        self._messages_max = self._messages_left = COMMAND_MESSAGES_MAX
        self._seen.clear()

    def output_came(self) -> None:
        """Refund a message with output, and one SSH_MSG_IGNORE that may have come before it.

        Some servers send those with every message, against traffic analysis.
        """
        self._messages_left = min(self._messages_max, self._messages_left + 2)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The TCP connection is made."""
        self._tcp = cast(asyncio.Transport, transport)
        super().connection_made(transport)

    def data_received(self, data: bytes, datatype: asyncssh.DataType = None) -> None:
        """Take one piece in each turn of the event loop; reading is paused until all are taken."""
        self._unread += data
        if len(self._unread) > PIECE_BYTES and self._tcp is not None:
            self._tcp.pause_reading()
        if len(self._unread) == len(data):  # nothing was left of the read before
            self._take_piece()

    def _take_piece(self) -> None:
        piece = bytes(self._unread[:PIECE_BYTES])
        del self._unread[:PIECE_BYTES]
        if self._bytes_left is not None:
            self._bytes_left -= len(piece)
            if self._bytes_left < 0:
                self._hang_up(f"sent more than {LOGIN_BYTES_MAX} bytes")
        if self.flood is not None or self.is_closed():
            self._unread.clear()
            return
        super().data_received(piece)
        if self._unread:
            asyncio.get_running_loop().call_soon(self._take_piece)
        elif self._tcp is not None:
            self._tcp.resume_reading()

    def _finish_recv_packet(
        self, pkttype: int, seq: int, _task: Any = None, is_async: bool = False
    ) -> None:
        """asyncssh calls this once for each message, after handling it."""
        self._seen[pkttype] += 1
        self._messages_left -= 1
        if self._messages_left < 0 and self.flood is None:
            most = self._seen.most_common(1)[0][0]
            self._hang_up(
                f"sent more than {self._messages_max} SSH messages"
                f" (most of them {NAMES.get(most, f'of type {most}')})"
            )
        super()._finish_recv_packet(pkttype, seq, _task, is_async)

    def process_packet(self, pkttype: int, pktid: int, packet: SSHPacket) -> bool | Awaitable[None]:
        """asyncssh calls this for each message, before it handles it."""
        if pkttype == MSG_USERAUTH_FAILURE:
            # The last byte of it says so; what was read of it is asyncssh's business.
            self.is_half_in = self.is_half_in or packet.get_full_payload()[-1:] == b"\x01"
        return super().process_packet(pkttype, pktid, packet)

    def _hang_up(self, deed: str) -> None:
        self.flood = Flood(deed)
        self.connection_lost(self.flood)
