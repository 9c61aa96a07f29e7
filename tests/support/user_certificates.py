"""User certificates of OpenSSH, made by ssh-keygen with an authority of their own."""

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Certified:
    """A key, its certificate, and the public half of the authority, as their files have them."""

    key: bytes
    certificate: bytes
    authority: str


def certified(directory: Path, *options: str) -> Certified:
    """A new Ed25519 key that a new authority certifies; options as `ssh-keygen -s` takes them."""
    key, authority = directory / "certified", directory / "authority"
    for file in (key, authority):
        argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(file)]
        subprocess.run(argv, check=True, stdin=subprocess.DEVNULL)
    return renewed(directory, *options)


def renewed(directory: Path, *options: str) -> Certified:
    """Another certificate of the key and the authority that `certified` made there."""
    key, authority = directory / "certified", directory / "authority"
    sign = ["ssh-keygen", "-q", "-s", str(authority), "-I", "ada", *options, f"{key}.pub"]
    subprocess.run(sign, check=True)
    certificate = directory / "certified-cert.pub"
    return Certified(
        key.read_bytes(), certificate.read_bytes(), Path(f"{authority}.pub").read_text("ascii")
    )
