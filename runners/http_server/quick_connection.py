"""A connection that answers a request whose answer is known before it is parsed.

Parsing a request and having the application answer it takes several times as long as the answer
itself. What may be kept, and for how long, is said in `web/known_answers.py`.
"""

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from runners.http_server.connection import TURN_BYTES, Connection
from runners.http_server.response_writer import JOINED_BYTES_MAX
from web.http.replies import SentAnswer, joined
from web.http.requests import REQUEST_KEY
from web.known_answers import can_be_known

END = b"\r\n\r\n"


class QuickConnection(Connection):
    """A connection of a server that knows answers."""

    _request: bytes | None = None
    """What came last, where it is one whole GET to which the answer is not known."""
    _idle_until = 0.0
    """By the loop's clock. A timer for each answer would cost as much as the answer."""

    def data_received(self, data: bytes) -> None:
        """Bytes came: a request whose answer is known, or something to parse."""
        self._request = None
        if data.startswith(b"GET ") and len(data) < TURN_BYTES and self._is_at_rest():
            known = self._pool.known
            answer = known.answer(data, self.client) if known is not None else None
            if answer is not None:
                self._give(answer)
                return
            if _is_whole(data):
                self._request = data
        super().data_received(data)

    def on_headers_complete(self) -> None:
        """The head is there: if it is nothing but a question, its answer may be kept.

        Not where the connection ends after it (HTTP/1.0): who asks may wait for that.
        """
        super().on_headers_complete()
        request, known = self._request, self._pool.known
        if request is None or known is None or not self.cycle.keep_alive:
            return
        if can_be_known(self.headers) and known.comes_again(request):
            # The application begins with the next turn of the event loop.
            self.scope[REQUEST_KEY] = request  # type: ignore[literal-required] # ours

    def _is_at_rest(self) -> bool:
        """Whether a request that comes now can be answered at once.

        Not where the client reads slower than it asks: its answers would fill the memory.
        """
        newest = self._newest
        return (
            not (self._in_head or self._deaf or self.flow.write_paused)
            and (newest is None or (newest.response_complete and not newest.more_body))
            and self._certificate is None  # which would have to be known as well
            and not self.transport.is_closing()
        )

    def _give(self, answer: SentAnswer) -> None:
        always = joined(self.server_state.default_headers)
        head = b"%b%b%b" % (STATUS_LINE[answer.status], always, answer.head)
        if len(answer.body) <= JOINED_BYTES_MAX:
            self.transport.write(head + answer.body)
        else:
            self.transport.write(head)
            self.transport.write(answer.body)
        idle = self._pool.idle
        if self in idle:
            del idle[self]
            idle[self] = None  # others have waited for longer
            self._idle_until = self.loop.time() + self._limits.keep_alive_s
        else:
            self._pool.forget(self)
            self._wait_for_next()

    def timeout_keep_alive_handler(self) -> None:
        """What was waited for did not come in time; or it came, and the timer was left running."""
        left_s = self._idle_until - self.loop.time()
        if left_s > 0 and not self._in_head:
            self._arm(left_s)
        else:
            super().timeout_keep_alive_handler()


def _is_whole(data: bytes) -> bool:
    """Whether these bytes are a whole head and nothing else."""
    return data.find(END) == len(data) - len(END) and data.count(b"\n") == data.count(b"\r\n")
