"""Does what `sam build` does, with executables that are built already: a folder with `bootstrap` for each function, and the template that names them.

usage: package.py PROGRAMS FOLDER
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

from samtranslator.yaml_helper import yaml_parse

ROOT = Path(__file__).resolve().parents[2]


def put(program, bootstrap):
    """Puts a program where the template names it; without its symbols, where the machine can take them away: half of the time goes into packing them."""
    shutil.copy2(program, bootstrap)
    if shutil.which("strip"):
        subprocess.run(["strip", str(bootstrap)], check=False)


def main():
    programs, folder = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    template = yaml_parse((ROOT / "template.yaml").read_text())
    # As `sam build` does, it says where the code is for each function alone.
    del template["Globals"]["Function"]["CodeUri"]
    missing = []
    for logical, it in template["Resources"].items():
        if it["Type"] != "AWS::Serverless::Function":
            continue
        program = programs / it["Metadata"]["BuildProperties"]["Binary"]
        if not program.is_file():
            missing.append(program.name)
            continue
        (folder / logical).mkdir()
        put(program, folder / logical / "bootstrap")
        it["Properties"]["CodeUri"] = str(folder / logical)
    if missing:
        raise SystemExit(f"error: {programs} has no {', '.join(missing)}; build it with `cargo build --package refit-functions`")
    (folder / "template.json").write_text(json.dumps(template, indent=1))


if __name__ == "__main__":
    main()
