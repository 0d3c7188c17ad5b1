#!/usr/bin/env python3
"""Writes infra/pipelines/retrain-from-s3.json: the reference pipeline for an image of AWS that gets the program of the steps from S3.

Nothing has to be pushed to a registry: `ImageUri` is an image that AWS owns and that has /bin/sh, for example sagemaker-scikit-learn, `ProgramUri` the folder of
S3 with the static `refit-step`. Such a package can be judged and approved, and not served: AWS's images start a server of their own. Needs Python alone.
"""

import copy
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def entrypoint(folder, step):
    # S3 keeps no mode of files. `exec` lets the signal to stop reach the program.
    return ["/bin/sh", "-c", f"cp {folder}/refit-step /tmp/refit-step && chmod 755 /tmp/refit-step && exec /tmp/refit-step {step}"]


def from_s3(definition):
    definition = copy.deepcopy(definition)
    definition["Parameters"].append({"Name": "ProgramUri", "Type": "String"})
    uri = {"Get": "Parameters.ProgramUri"}
    for step in definition["Steps"]:
        arguments = step["Arguments"]
        if step["Type"] == "Processing":
            application = arguments["AppSpecification"]
            (name,) = application.pop("ContainerArguments")
            application["ContainerEntrypoint"] = entrypoint("/opt/ml/processing/program", name)
            like = copy.deepcopy(arguments["ProcessingInputs"][0])
            like["InputName"] = "program"
            like["S3Input"] = {**like["S3Input"], "S3Uri": uri, "LocalPath": "/opt/ml/processing/program"}
            arguments["ProcessingInputs"].append(like)
        elif step["Type"] == "Training":
            algorithm = arguments["AlgorithmSpecification"]
            (name,) = algorithm.pop("ContainerArguments")
            algorithm["ContainerEntrypoint"] = entrypoint("/opt/ml/input/data/program", name)
            like = copy.deepcopy(arguments["InputDataConfig"][0])
            like["ChannelName"] = "program"
            like["DataSource"]["S3DataSource"]["S3Uri"] = uri
            arguments["InputDataConfig"].append(like)
    return definition


def main():
    folder = ROOT / "infra/pipelines"
    definition = from_s3(json.loads((folder / "retrain.json").read_text()))
    (folder / "retrain-from-s3.json").write_text(json.dumps(definition, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())
