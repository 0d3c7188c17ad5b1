#!/usr/bin/env python3
"""Checks an image archive: every digest, and that its program starts in a root folder that holds nothing else.

usage: run.py ARCHIVE [ARGUMENT...]

Without arguments the program says its version. Needs a user namespace (`unshare`) or root (`chroot`).
"""

import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path


def blob(files, described):
    name = described["digest"].removeprefix("sha256:")
    data = files[f"blobs/sha256/{name}"]
    if hashlib.sha256(data).hexdigest() != name or len(data) != described["size"]:
        raise SystemExit(f"error: blob {name} is damaged")
    return data


def read(archive):
    """The configuration and the unpacked layers of an image."""
    with tarfile.open(archive) as tar:
        files = {it.name: tar.extractfile(it).read() for it in tar if it.isfile()}
    if json.loads(files["oci-layout"])["imageLayoutVersion"] != "1.0.0":
        raise SystemExit("error: the archive is no OCI image layout")
    manifest = json.loads(blob(files, json.loads(files["index.json"])["manifests"][0]))
    config = json.loads(blob(files, manifest["config"]))
    layers = [gzip.decompress(blob(files, it)) for it in manifest["layers"]]
    found = [f"sha256:{hashlib.sha256(it).hexdigest()}" for it in layers]
    if found != config["rootfs"]["diff_ids"]:
        raise SystemExit("error: the layers are not those of the configuration")
    return config, layers


def main():
    config, layers = read(sys.argv[1])
    arguments = sys.argv[2:] or ["--version"]
    with tempfile.TemporaryDirectory() as folder:
        for layer in layers:
            with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
                tar.extractall(folder, **({"filter": "fully_trusted"} if hasattr(tarfile, "data_filter") else {}))
        command = [*config["config"]["Entrypoint"], *arguments]
        if os.geteuid() == 0 and shutil.which("chroot"):
            command = ["chroot", folder, *command]
        else:
            command = ["unshare", "--map-root-user", "--root", folder, *command]
        answer = subprocess.run(command, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True)
        names = sorted(str(it.relative_to(folder)) for it in Path(folder).rglob("*"))
    if answer.returncode != 0:
        raise SystemExit(f"error: {' '.join(command)} failed with {answer.returncode}: {answer.stderr.strip()}")
    print(f"in a root folder with {', '.join(names)} alone: {answer.stdout.strip()}")


if __name__ == "__main__":
    main()
