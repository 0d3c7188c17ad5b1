"""What the image writer promises: the same bytes for the same program, digests that fit, and a refusal of programs that cannot run in an empty root."""

import contextlib
import io
import struct
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import run
import write


def elf(machine=62, kinds=(1,)):
    """The head of a program: an ELF header and program headers of these kinds (1 loads, 3 names a loader)."""
    head = b"\x7fELF" + bytes([2, 1, 1]) + bytes(9)
    head += struct.pack("<HHIQQQIHHHHHH", 2, machine, 1, 0, 64, 0, 0, 64, 56, len(kinds), 0, 0, 0)
    return head + b"".join(struct.pack("<IIQQQQQQ", kind, 0, 0, 0, 0, 0, 0, 0) for kind in kinds)


class Image(unittest.TestCase):
    def test_the_same_program_is_the_same_image(self):
        self.assertEqual(write.image(elf()), write.image(elf()))
        self.assertNotEqual(write.image(elf()), write.image(elf() + b"x"))

    def test_the_machine_is_that_of_the_program(self):
        self.assertEqual([write.architecture(elf(it)) for it in (62, 183)], ["amd64", "arm64"])

    def test_what_cannot_run_is_refused(self):
        for program, why in [(b"#!/bin/sh", "no 64-bit ELF"), (elf(8), "machine 8"), (elf(kinds=(1, 3)), "crt-static")]:
            with self.assertRaises(SystemExit) as caught:
                write.image(program)
            self.assertIn(why, str(caught.exception))

    def test_an_archive_is_read_back(self):
        with tempfile.TemporaryDirectory() as folder:
            program, archive = Path(folder) / "p", Path(folder) / "a.tar"
            program.write_bytes(elf())
            sys.argv = ["write.py", str(program), str(archive)]
            with contextlib.redirect_stdout(io.StringIO()):
                write.main()
            config, layers = run.read(archive)
            self.assertEqual(config["config"]["Entrypoint"], ["/refit-step"])
            self.assertEqual(len(layers), 1)
            data = bytearray(archive.read_bytes())
            at = data.rindex(b"rootfs")
            data[at] ^= 1
            archive.write_bytes(data)
            with self.assertRaises(SystemExit):
                run.read(archive)


if __name__ == "__main__":
    unittest.main()
