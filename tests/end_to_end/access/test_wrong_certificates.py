"""Files of certificates and keys that cannot be used."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.end_to_end.test_serve import serve
from tests.support.certificates import Authority, Pair, write_key


def wrong(pair: Pair, directory: Path, what: str) -> list[str]:
    """Flags that are wrong."""
    other, none = Authority(directory, "else").server("else"), directory / "none"
    junk = directory / "junk"
    junk.write_text("junk")
    match what:
        case "no certificate file":
            return ["--tls-cert", str(none)]
        case "no key file":
            return ["--tls-cert", str(pair.certificate), "--tls-key", str(none)]
        case "another key":
            return ["--tls-cert", str(pair.certificate), "--tls-key", str(other.key)]
        case "a key with a passphrase":
            write_key(pair.key, ec.generate_private_key(ec.SECP256R1()), b"hidden-word")
            return pair.flags
        case "junk":
            return ["--tls-cert", str(junk), "--tls-key", str(junk)]
        case "a directory":
            return ["--tls-cert", str(directory)]
        case "no key in the file":
            return ["--tls-cert", str(pair.certificate)]
        case "a CA that is none":
            return [*pair.flags, "--tls-client-ca", str(junk)]
        case "a key alone":
            return ["--tls-key", str(pair.key)]
        case _:
            return [*pair.flags, "--tls-client-required"]


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("no certificate file", "none cannot be read: No such file"),
        ("no key file", "none cannot be read: No such file"),
        ("another key", "is not the key of the certificate"),
        ("a key with a passphrase", "has a passphrase"),
        ("junk", "are no certificate and its key in PEM"),
        ("a directory", "cannot be read: Is a directory"),
        ("no key in the file", "are no certificate and its key in PEM"),
        ("a CA that is none", "has no CA certificates in PEM"),
        ("a key alone", "must not be given without tls_cert"),
        ("required without a CA", "must not be given without tls_client_ca"),
    ],
)
def test_wrong_files_are_one_clear_line_and_exit_status_2(
    tmp_path: Path, what: str, words: str
) -> None:
    flags = wrong(Authority(tmp_path).server(), tmp_path, what)
    refused = serve("--port", "0", *flags, data=tmp_path / "data")
    assert refused.returncode == 2
    (line,) = refused.stderr.splitlines()
    assert words in line
    assert not (tmp_path / "data").exists()
