"""Compares what was decided in the cloud with what `refit replay` decided about the same data under the same policy.

usage: compare.py CLOUD.json REPLAY.json

Everything in the two documents has to be equal, but for what NOT_COMPARED lists.
"""

import json
import re
import sys
from pathlib import Path

# What may differ, and why. Everything else is compared, people by the names of their IAM users.
NOT_COMPARED = {
    "world": "says which world it was",
    "report": "the local world's page",
    "quality": "what was served is measured in the local world alone",
    "audit.head": "the hash covers addresses and ids of either world",
}
USER = re.compile(r"arn:aws:iam::\d{12}:user/(\S+) \(\w+\)")


def left_out(path):
    return ".".join(str(it) for it in path) in NOT_COMPARED


def named(value):
    """People by their names: in the cloud they are IAM users."""
    return USER.sub(r"\1", value) if isinstance(value, str) else value


def shown(path):
    return "".join(f"[{it}]" if isinstance(it, int) else f".{it}" for it in path).lstrip(".")


def differences(cloud, replay, path=()):
    """Where two documents differ: (path, there, here)."""
    if left_out(path):
        return
    if isinstance(cloud, dict) and isinstance(replay, dict):
        for name in sorted(cloud.keys() | replay.keys()):
            yield from differences(cloud.get(name), replay.get(name), (*path, name))
    elif isinstance(cloud, list) and isinstance(replay, list):
        for index in range(max(len(cloud), len(replay))):
            pair = [it[index] if index < len(it) else None for it in (cloud, replay)]
            yield from differences(*pair, (*path, index))
    elif named(cloud) != replay or type(cloud) is not type(replay):
        yield shown(path), cloud, replay


def count(document):
    """How many values of a document are compared."""

    def leaves(value, path=()):
        if left_out(path):
            return 0
        if isinstance(value, dict):
            return sum(leaves(it, (*path, name)) for name, it in value.items())
        if isinstance(value, list):
            return sum(leaves(it, (*path, index)) for index, it in enumerate(value))
        return 1

    return leaves(document)


def main():
    cloud, replay = (json.loads(Path(it).read_text()) for it in sys.argv[1:3])
    found = list(differences(cloud, replay))
    for path, there, here in found[:40]:
        print(f"  {path}: cloud {json.dumps(there)[:300]}, local world {json.dumps(here)[:300]}")
    if found:
        print(f"error: the cloud and the local world differ in {len(found)} of {count(replay)} values")
        raise SystemExit(1)
    print(f"the cloud and the local world agree in all {count(replay)} values that are compared")


if __name__ == "__main__":
    main()
