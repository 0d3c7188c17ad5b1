"""Writes the outputs of a stack as a JSON object.

usage: outputs.py STACK FILE
"""

import json
import sys
from pathlib import Path

import boto3


def main():
    stack, file = sys.argv[1], Path(sys.argv[2])
    found = boto3.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
    outputs = {it["OutputKey"]: it["OutputValue"] for it in found["Outputs"]}
    file.write_text(json.dumps(outputs, indent=2) + "\n")
    print(f"stack {stack}: {found['StackStatus']}, {len(outputs)} outputs in {file}")


if __name__ == "__main__":
    main()
