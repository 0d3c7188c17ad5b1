"""What the code says about its functions: the page that a test holds to the code (`tests/it/iam.rs`)."""

import re
from pathlib import Path

from template import ROOT


def page(root=ROOT):
    return (Path(root) / "functions/README.md").read_text()


def actions(root=ROOT):
    """The IAM actions that a function's adapters call, by function."""
    rows = re.finditer(r"^\| `([a-z-]+)` \| ((?:[a-z0-9-]+:[A-Za-z]+(?:, )?)+) \|$", page(root), re.M)
    return {it[1]: set(it[2].split(", ")) for it in rows}


def variables(root=ROOT):
    """The environment variables that a function reads, by variable: `None` for all functions."""
    rows = re.finditer(r"^\| `(REFIT_[A-Z_]+)` \| ([a-z, -]+) \|", page(root), re.M)
    return {it[1]: None if it[2] == "all" else set(it[2].split(", ")) for it in rows}


def routes(root=ROOT):
    """Method, path and needed right of each route of the API, empty while there is none."""
    file = Path(root) / "crates/api/src/route.rs"
    if not file.exists():
        return []
    text = file.read_text()
    base = re.search(r'^const MODEL: &str = "([^"]+)";', text, re.M)
    text = text[text.index("pub const ROUTES") :].replace("(MODEL,", f'("{base[1] if base else ""}",')
    found = [("GET", it[1], "See") for it in re.finditer(r'look\(\s*"([^"]+)"', text)]
    found += [("POST", it[1], it[2]) for it in re.finditer(r'ask\(\s*"([^"]+)".*?Right::(\w+)', text, re.S)]
    found += [(it[1].upper(), it[2], it[3]) for it in re.finditer(r'method: Method::(\w+),\s*path: "([^"]+)".*?right: Right::(\w+)', text, re.S)]
    return found
