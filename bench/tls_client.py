"""GET again and again over TLS connections that are kept, with a client certificate.

    python -m bench.tls_client HOST PORT PATH CERTIFICATE CONNECTIONS SECONDS

wrk has no client certificates, and ab no HTTP/1.1. Nothing is done here but to send the same bytes
and to count what comes back, so that the service is what is measured. Prints how many requests
were answered, and in how many seconds.
"""

import socket
import ssl
import sys
import time

TIMEOUT_S = 20.0
CHUNK_BYTES = 65_536
HEAD_END = b"\r\n\r\n"
LENGTH = b"content-length: "


def connections(host: str, port: int, certificate: str, count: int) -> list[ssl.SSLSocket]:
    """Connections whose handshakes are done."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.load_cert_chain(certificate)
    return [
        context.wrap_socket(socket.create_connection((host, port), TIMEOUT_S)) for _ in range(count)
    ]


def receive(connection: ssl.SSLSocket) -> None:
    """One answer. Raises `ValueError` where it is not what was asked for."""
    answer = connection.recv(CHUNK_BYTES)
    while HEAD_END not in answer:
        more = connection.recv(CHUNK_BYTES)
        if not more:
            raise ValueError("the connection was closed")
        answer += more
    head, _, body = answer.partition(HEAD_END)
    if not head.startswith(b"HTTP/1.1 200 "):
        raise ValueError(head.decode())
    left = int(head.partition(LENGTH)[2].partition(b"\r\n")[0]) - len(body)
    while left > 0:
        left -= len(connection.recv(left))


def main() -> None:
    """Ask until the time is over."""
    host, port, path, certificate, count, seconds = sys.argv[1:]
    request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
    asked = connections(host, int(port), certificate, int(count))
    for connection in asked:
        connection.sendall(request)
    answered, begin = 0, time.perf_counter()
    while (passed_s := time.perf_counter() - begin) < float(seconds):
        for connection in asked:
            receive(connection)
            connection.sendall(request)
        answered += len(asked)
    print(answered, passed_s)


if __name__ == "__main__":
    main()
