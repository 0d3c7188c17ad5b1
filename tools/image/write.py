#!/usr/bin/env python3
"""Writes an OCI image that holds one static program, as an archive. The same program gives the same image, byte for byte.

usage: write.py PROGRAM ARCHIVE

The image is `FROM scratch`: /refit-step and an empty /tmp. SageMaker starts it with `train` or `serve` as the argument; processing steps name theirs. The
archive is an OCI image layout (https://github.com/opencontainers/image-spec/blob/main/image-layout.md), which skopeo, podman, crane and docker (25 and
newer) read.
"""

import gzip
import hashlib
import io
import json
import sys
import tarfile
from pathlib import Path

NAME = "refit-step"
# Machine numbers of ELF, by the name that images use.
ARCHITECTURES = {62: "amd64", 183: "arm64"}
LABELS = {
    "org.opencontainers.image.title": "refit-step",
    "org.opencontainers.image.description": "Training, processing and serving of Refit's reference pipeline",
    "org.opencontainers.image.licenses": "MIT OR Apache-2.0",
    # SageMaker may choose the port: https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html
    "com.amazonaws.sagemaker.capabilities.accept-bind-to-port": "true",
}


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def text(document):
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def entry(name, data=None, mode=0o755, kind=tarfile.REGTYPE):
    """An entry of an archive that says nothing about who made it and when."""
    it = tarfile.TarInfo(name)
    it.mode, it.type, it.size = mode, kind, len(data or b"")
    return it, io.BytesIO(data or b"")


def archive(entries):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for it, data in entries:
            tar.addfile(it, data)
    return buffer.getvalue()


def architecture(program):
    """The machine that an ELF program is for; refuses one that needs a loader, which the image does not have."""
    if program[:4] != b"\x7fELF" or program[4] != 2 or program[5] != 1:
        raise SystemExit("error: the program is no 64-bit ELF file")
    machine = int.from_bytes(program[18:20], "little")
    if machine not in ARCHITECTURES:
        raise SystemExit(f"error: the program is for machine {machine}; images are made for {sorted(ARCHITECTURES.values())}")
    offset, size, count = (int.from_bytes(program[a:b], "little") for a, b in ((32, 40), (54, 56), (56, 58)))
    kinds = [int.from_bytes(program[offset + i * size : offset + i * size + 4], "little") for i in range(count)]
    if 3 in kinds:
        raise SystemExit("error: the program needs a dynamic loader, which the image does not have; build it with `-C target-feature=+crt-static`")
    return ARCHITECTURES[machine]


def image(program):
    """The blobs of the image by digest, and its index."""
    layer = archive([entry("refit-step", program), entry("tmp", mode=0o1777, kind=tarfile.DIRTYPE)])
    packed = gzip.compress(layer, compresslevel=9, mtime=0)
    config = text(
        {
            "architecture": architecture(program),
            "os": "linux",
            "config": {"Entrypoint": ["/refit-step"], "Env": ["PATH=/"], "WorkingDir": "/", "Labels": LABELS},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{sha256(layer)}"]},
            "history": [{"created_by": "tools/image/write.py"}],
        }
    )

    def described(kind, data):
        return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": f"sha256:{sha256(data)}", "size": len(data)}

    manifest = text(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": described("config.v1+json", config),
            "layers": [described("layer.v1.tar+gzip", packed)],
        }
    )
    named = {**described("manifest.v1+json", manifest), "annotations": {"org.opencontainers.image.ref.name": NAME}}
    return {sha256(it): it for it in (packed, config, manifest)}, {"schemaVersion": 2, "manifests": [named]}


def main():
    program, target = Path(sys.argv[1]), Path(sys.argv[2])
    blobs, index = image(program.read_bytes())
    entries = [entry("oci-layout", text({"imageLayoutVersion": "1.0.0"}), mode=0o644), entry("index.json", text(index), mode=0o644)]
    entries += [entry("blobs", kind=tarfile.DIRTYPE), entry("blobs/sha256", kind=tarfile.DIRTYPE)]
    entries += [entry(f"blobs/sha256/{name}", data, mode=0o644) for name, data in sorted(blobs.items())]
    target.write_bytes(archive(entries))
    digest = index["manifests"][0]["digest"]
    print(f"{target}: {target.stat().st_size / 1e6:.1f} MB, program {program.stat().st_size / 1e6:.1f} MB, {digest}")


if __name__ == "__main__":
    main()
