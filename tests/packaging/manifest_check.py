"""Reads manifests as their specifications have them: `manifest_check.py compose|kubernetes FILE`.

It runs in an environment of its own (manifest-check.txt): the schemas of Kubernetes alone take
100 MB.
"""

import sys
from pathlib import Path

import kubernetes_validate
import yaml
from compose_spec import PyCompose

KUBERNETES = "1.31"


def main(kind: str, file: str) -> None:
    """Raises where it is none."""
    text = Path(file).read_text()
    if kind == "compose":
        # Anchors and merges are YAML's, and not of the specification.
        compose = PyCompose.from_yaml(yaml.safe_dump(yaml.safe_load(text)))
        print(*compose.to_dict()["services"], sep="\n")
        return
    for document in yaml.safe_load_all(text):
        kubernetes_validate.validate(document, KUBERNETES, strict=True)
        print(document["kind"])


if __name__ == "__main__":
    main(*sys.argv[1:])
