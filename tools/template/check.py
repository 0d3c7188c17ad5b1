#!/usr/bin/env python3
"""Checks template.yaml: translates it as CloudFormation does, lints the result, and asks what no linter sees.

Exit code 0 when nothing is found that is not waived, 1 otherwise. `tools/template/check` installs what it needs and runs it.
"""

import fnmatch
import json
import subprocess
import sys
import time
from pathlib import Path

import yaml

import rules
from template import ROOT, read, translate

HERE = Path(__file__).parent
TOOLS = Path(sys.executable).parent
MAX_WAIVERS = 6
# What parameters change at translation, not at deployment.
VARIANTS = {"plain": {}, "gradual": {"GradualDeployment": "true"}}


def lint(files):
    """What cfn-lint says of each file, one line each."""
    answer = subprocess.run([TOOLS / "cfn-lint", "--format", "json", "--non-zero-exit-code", "none", *files], capture_output=True, text=True)
    if answer.returncode != 0 or not answer.stdout.strip().startswith("["):
        raise SystemExit(f"cfn-lint did not run:\n{answer.stdout}{answer.stderr}")
    found = {str(it): [] for it in files}
    for it in json.loads(answer.stdout):
        place = ".".join(map(str, it["Location"].get("Path") or []))
        found[it["Filename"]].append({"check": it["Rule"]["Id"], "resource": place, "says": it["Message"]})
    return found


def checkov(files):
    """What checkov says of each file."""
    command = [TOOLS / "checkov", "--framework", "cloudformation", "--compact", "--quiet", "--output", "json"]
    # By bare names: checkov takes a file's path for a value of the template, and 40 letters and slashes for an access key.
    for it in files:
        command += ["--file", it.name]
    answer = subprocess.run(command, capture_output=True, text=True, cwd=files[0].parent)
    try:
        results = json.loads(answer.stdout)
    except ValueError:
        raise SystemExit(f"checkov did not run:\n{answer.stdout}{answer.stderr}") from None
    if results["summary"]["parsing_errors"] or results["summary"]["passed"] == 0:
        raise SystemExit(f"checkov did not read the templates: {results['summary']}")
    found = {str(it): [] for it in files}
    for it in results["results"]["failed_checks"]:
        file = next(f for f in files if Path(it["file_abs_path"]).name == f.name)
        found[str(file)].append({"check": it["check_id"], "resource": it["resource"], "says": it["check_name"]})
    return found


def write(folder, name, template):
    path = folder / f"{name}.json"
    path.write_text(json.dumps(template, indent=1))
    return path


def waive(findings, waivers):
    """What is left, and the waivers that waive nothing."""
    used, left = set(), []
    for finding in findings:
        of = [i for i, it in enumerate(waivers) if it["check"] == finding["check"] and fnmatch.fnmatch(finding["resource"], it["resources"])]
        used |= set(of)
        if not of:
            left.append(finding)
    return left, [it["check"] for i, it in enumerate(waivers) if i not in used]


def main():
    folder = ROOT / "target/template"
    folder.mkdir(parents=True, exist_ok=True)
    source = read()
    translated = {name: translate(source, **parameters) for name, parameters in VARIANTS.items()}
    files = [write(folder, name, it) for name, it in translated.items()]
    bad = write(folder, "bad", translate(read(HERE / "bad.yaml")))
    problems = []

    begun = time.monotonic()
    linted = lint([ROOT / "template.yaml", *files, bad])
    print(f"cfn-lint: {time.monotonic() - begun:.0f} s")
    begun = time.monotonic()
    checked = checkov([*files, bad])
    print(f"checkov: {time.monotonic() - begun:.0f} s")

    findings = [it for file in [ROOT / "template.yaml", *files] for it in linted[str(file)]]
    findings += [it for file in files for it in checked[str(file)]]
    unique = list({json.dumps(it, sort_keys=True): it for it in findings}.values())
    waivers = yaml.safe_load((HERE / "waivers.yaml").read_text())
    left, unused = waive(unique, waivers)
    problems += [f"{it['check']} {it['resource']}: {it['says']}" for it in left]
    problems += [f"the waiver of {it} waives nothing: take it out" for it in unused]
    problems += [f"the waiver of {it['check']} has no reason" for it in waivers if len(it.get("reason", "")) < 40]
    if MAX_WAIVERS < len(waivers):
        problems.append(f"there are {len(waivers)} waivers, more than {MAX_WAIVERS}")

    for name, template in translated.items():
        for rule, found in rules.every(template, source).items():
            problems += [f"{rule} ({name}): {it}" for it in found]

    # A check that finds nothing in a bad template finds nothing at all.
    expected = ["E3027", "E3034", "E3510", "E3717", "W2001", "W3037", "W4001"]
    codes = {it["check"] for it in linted[str(bad)]}
    for code in expected:
        if code not in codes:
            problems.append(f"cfn-lint does not find {code} in tools/template/bad.yaml; it finds {sorted(codes)}")
    if len(checked[str(bad)]) < 20:
        problems.append(f"checkov finds {len(checked[str(bad)])} problems in tools/template/bad.yaml, fewer than 20")

    counts = f"{len(translated['plain']['Resources'])} resources, {len(unique)} findings, {len(unique) - len(left)} waived by {len(waivers)} waivers"
    print(f"template.yaml: {counts}; in bad.yaml cfn-lint finds {len(linted[str(bad)])} and checkov {len(checked[str(bad)])} problems")
    for it in problems:
        print(f"error: {it}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
