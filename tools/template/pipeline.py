#!/usr/bin/env python3
"""Sets infra/pipelines/retrain.json into template.yaml, with the digest that names its version. Needs Python alone."""

import hashlib
import json
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def compact(it):
    return json.dumps(it, separators=(",", ":"))


def main():
    definition = json.loads((ROOT / "infra/pipelines/retrain.json").read_text())
    digest = hashlib.sha256(json.dumps(definition, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
    parameters, steps = definition["Parameters"], definition["Steps"]
    rest = {k: v for k, v in definition.items() if k not in ("Parameters", "Steps")}
    # A line for each parameter and step, so that a change of one is a change of one line.
    lines = [compact(rest)[:-1] + ',"Parameters":[']
    lines += [compact(it) + "," for it in parameters[:-1]] + [compact(parameters[-1])]
    lines += ['],"Steps":[']
    lines += [compact(it) + "," for it in steps[:-1]] + [compact(steps[-1])]
    lines += ["]}"]
    assert json.loads("\n".join(lines)) == definition
    path = ROOT / "template.yaml"
    text = path.read_text()
    body = "".join(f"          {line}\n" for line in lines)
    text, hits = re.subn(r"(        PipelineDefinitionBody: \|\n)(?:          .*\n)+", lambda it: it[1] + body, text)
    text, versions = re.subn(r"(PipelineDisplayName: retrain-)[0-9a-f]{12}\n", rf"\g<1>{digest[:12]}\n", text)
    text, digests = re.subn(r"(definition sha256 )[0-9a-f]{64}", rf"\g<1>{digest}", text)
    if (hits, versions, digests) != (1, 1, 1):
        raise SystemExit("template.yaml has not one pipeline with its definition, display name and description")
    path.write_text(text)


if __name__ == "__main__":
    main()
