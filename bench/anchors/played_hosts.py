"""Plays many hosts in one process: an sshd at each loopback address, that answers our one script.

Reads `{"addresses": […], "port": …, "public_key": "…"}` from stdin, says `ready`, and serves until
it is terminated. Everybody who has the key is root; every host is the same small Fedora.
"""

import asyncio
import json
import re
import resource
import sys
import uuid

import asyncssh
import uvloop

BACKLOG = 64
FILES_KEPT_FREE = 256
BOOT_ID = str(uuid.uuid4())
NONCE = re.compile(r"nonce=([0-9a-f]{1,32})")
FACTS = f"""release.ID=fedora
release.VERSION_ID=40
space=/dev/vda1 41152736 1000000 40152736 3% /
cpus=2
memory=4030184
boot_id={BOOT_ID}
uid=0
sudo=needless
"""


class PlayedHost(asyncssh.SSHServer):
    """Lets the one key in."""

    def begin_auth(self, username: str) -> bool:
        """A key is always asked for."""
        return True


async def answer(process: "asyncssh.SSHServerProcess[str]") -> None:
    """What the script of facts would print; it comes as an argument, or over stdin."""
    found = NONCE.search(process.command or "") or NONCE.search(await process.stdin.read())
    nonce = found[1] if found else ""
    process.stdout.write(f"\n{nonce} begin\n{FACTS}{nonce} end\n")
    process.exit(0)


async def main() -> None:
    """Listen at every address."""
    asked = json.load(sys.stdin)
    options = asyncssh.SSHServerConnectionOptions(
        server_factory=PlayedHost,
        server_host_keys=[asyncssh.generate_private_key("ssh-ed25519")],
        authorized_client_keys=asyncssh.import_authorized_keys(asked["public_key"]),
        process_factory=answer,
        line_editor=False,
    )
    listeners = [
        await asyncssh.listen(address, asked["port"], options=options, backlog=BACKLOG)
        for address in asked["addresses"]
    ]
    print("ready", flush=True)
    await asyncio.gather(*(listener.wait_closed() for listener in listeners))


if __name__ == "__main__":
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    uvloop.run(main())
