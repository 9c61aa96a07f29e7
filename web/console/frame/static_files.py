"""Styles and scripts, each under a name with a hash of it: whoever has one need not ask again."""

import re
from hashlib import blake2b
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

DIRECTORY = Path(__file__).parent.parent / "static"
PATH = "/static"
HASH_BYTES = 6
KEEP = "public, max-age=31536000, immutable"
HASHED = re.compile(r"(.+)\.([0-9a-f]{12})(\.\w+)")


class HashedFiles(StaticFiles):
    """Serves `name.HASH.css` for `name.css`, and nothing of which the hash is another."""

    def __init__(self, directory: Path = DIRECTORY) -> None:
        super().__init__(directory=directory)
        self.addresses = {
            str(file.relative_to(directory)): _address(file, directory)
            for file in directory.rglob("*.*")
            if file.is_file()
        }

    def address(self, name: str) -> str:
        """Where pages find a file; "" where the build did not bring it."""
        return self.addresses.get(name, "")

    async def get_response(self, path: str, scope: Scope) -> Response:
        """The file, to be kept for good."""
        found = HASHED.fullmatch(path)
        name = found[1] + found[3] if found else ""
        if self.addresses.get(name) != f"{PATH}/{path}":
            raise HTTPException(404)
        response = await super().get_response(name, scope)
        response.headers["cache-control"] = KEEP
        response.headers["x-content-type-options"] = "nosniff"
        return response


def _address(file: Path, directory: Path) -> str:
    digest = blake2b(file.read_bytes(), digest_size=HASH_BYTES).hexdigest()
    return f"{PATH}/{file.relative_to(directory).with_suffix('')}.{digest}{file.suffix}"
