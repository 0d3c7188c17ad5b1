"""Reads template.yaml: translated as CloudFormation sees it, and resolved as one deployment sees it."""

import contextlib
import copy
import io
import logging
import os
import re
from pathlib import Path

os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")
logging.getLogger("samtranslator").setLevel(logging.ERROR)

from samtranslator.translator.transform import transform  # noqa: E402
from samtranslator.yaml_helper import yaml_parse  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
REGION = "us-east-1"
ACCOUNT = "000000000000"


def read(path=ROOT / "template.yaml"):
    """The template as it is written, intrinsic functions in their long form."""
    return yaml_parse(Path(path).read_text())


class _NoManagedPolicies:
    def load(self):
        return {}


def translate(source, **parameters):
    """The template after the transform that CloudFormation applies, for these parameters."""
    source = copy.deepcopy(source)
    for holder in [source.get("Globals", {}).get("Function", {})] + [
        it["Properties"] for it in source["Resources"].values() if it["Type"] == "AWS::Serverless::Function"
    ]:
        if isinstance(holder.get("CodeUri"), str):
            holder["CodeUri"] = "s3://bucket/code.zip"
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        translated = transform(source, {name: str(it) for name, it in parameters.items()}, _NoManagedPolicies())
    for it in translated["Resources"].values():
        it.setdefault("Properties", {})
    return translated


def listed(it):
    """A value of which AWS takes one or several."""
    return it if isinstance(it, list) else [it]


class Resolver:
    """Says what intrinsic functions come to, for given parameters, with made-up names of resources."""

    def __init__(self, template, stack="refit", **parameters):
        self.template = template
        self.values = {name: it.get("Default", "") for name, it in template.get("Parameters", {}).items()}
        unknown = set(parameters) - set(self.values)
        if unknown:
            raise KeyError(f"the template has no parameters {sorted(unknown)}")
        self.values.update(parameters)
        for name, it in template.get("Parameters", {}).items():
            if it["Type"] == "CommaDelimitedList" and isinstance(self.values[name], str):
                self.values[name] = self.values[name].split(",")
        self.pseudo = {
            "AWS::Region": REGION,
            "AWS::AccountId": ACCOUNT,
            "AWS::Partition": "aws",
            "AWS::StackName": stack,
            "AWS::URLSuffix": "amazonaws.com",
            "AWS::NoValue": None,
        }

    def is_made(self, resource):
        """Whether a resource's condition holds."""
        condition = self.template["Resources"][resource].get("Condition")
        return condition is None or self.holds(condition)

    def holds(self, condition):
        return self.resolve(self.template["Conditions"][condition])

    def resources(self, *types):
        """Every resource of these types that is made, by logical id, its properties resolved."""
        return {
            name: self.resolve(it.get("Properties", {}))
            for name, it in self.template["Resources"].items()
            if it["Type"] in types and self.is_made(name)
        }

    def resolve(self, it):
        if isinstance(it, list):
            return [r for r in (self.resolve(i) for i in it) if r is not None]
        if not isinstance(it, dict):
            return it
        if len(it) == 1:
            (name, value), = it.items()
            if name == "Ref":
                return self.ref(value)
            if name == "Condition" and isinstance(value, str):
                return self.holds(value)
            if name.startswith("Fn::"):
                return getattr(self, "fn_" + name[4:].lower())(value)
        return {k: r for k, r in ((k, self.resolve(v)) for k, v in it.items()) if r is not None}

    def ref(self, name):
        if name in self.pseudo:
            return self.pseudo[name]
        if name in self.values:
            return self.values[name]
        kind = self.template["Resources"][name]["Type"]
        if kind == "AWS::S3::Bucket":
            return f"{self.pseudo['AWS::StackName']}-{name.lower()}"
        if kind in ("AWS::SNS::Topic", "AWS::Lambda::Alias", "AWS::Lambda::Version", "AWS::IAM::ManagedPolicy"):
            return self.arn(name)
        properties = self.template["Resources"][name].get("Properties", {})
        for key in ("FunctionName", "Name", "LogGroupName", "PipelineName", "ModelPackageGroupName"):
            if key in properties and isinstance(self.resolve(properties[key]), str):
                return self.resolve(properties[key])
        return f"{self.pseudo['AWS::StackName']}-{name}"

    def arn(self, name):
        resource = self.template["Resources"][name]
        kind = resource["Type"]
        service, rest = {
            "AWS::DynamoDB::Table": ("dynamodb", lambda: f"table/{self.ref(name)}"),
            "AWS::KMS::Key": ("kms", lambda: f"key/{name}"),
            "AWS::SQS::Queue": ("sqs", lambda: self.ref(name)),
            "AWS::SNS::Topic": ("sns", lambda: self.resolve(resource["Properties"].get("TopicName", name))),
            "AWS::Events::EventBus": ("events", lambda: f"event-bus/{self.ref(name)}"),
            "AWS::Events::Rule": ("events", lambda: f"rule/{self.ref(name)}"),
            "AWS::Lambda::Function": ("lambda", lambda: f"function:{self.ref(name)}"),
            "AWS::Lambda::Alias": ("lambda", lambda: f"function:{self.ref(resource['Properties']['FunctionName']['Ref'])}:live"),
            "AWS::Logs::LogGroup": ("logs", lambda: f"log-group:{self.ref(name)}:*"),
        }.get(kind, (kind.split("::")[1].lower(), lambda: f"{name}"))
        if kind == "AWS::S3::Bucket":
            return f"arn:aws:s3:::{self.ref(name)}"
        if kind in ("AWS::IAM::Role", "AWS::IAM::ManagedPolicy"):
            what = "role" if kind.endswith("Role") else "policy"
            return f"arn:aws:iam::{ACCOUNT}:{what}/{self.pseudo['AWS::StackName']}-{name}-1A2B3C"
        return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{rest()}"

    def fn_getatt(self, value):
        name, attribute = value if isinstance(value, list) else value.split(".", 1)
        if attribute == "Arn":
            return self.arn(name)
        if attribute == "StreamArn":
            return self.arn(name) + "/stream/2026-01-01T00:00:00.000"
        if attribute in ("QueueName", "TopicName"):
            return self.ref(name).rsplit(":", 1)[-1]
        return f"{name}.{attribute}"

    def fn_sub(self, value):
        text, names = (value, {}) if isinstance(value, str) else value

        def one(match):
            name = match[1]
            if name in names:
                it = self.resolve(names[name])
            elif "." in name:
                it = self.fn_getatt(name)
            else:
                it = self.ref(name)
            return str(it)

        return re.sub(r"\$\{([^!}][^}]*)\}", one, text)

    def fn_if(self, value):
        condition, yes, no = value
        return self.resolve(yes if self.holds(condition) else no)

    def fn_join(self, value):
        return value[0].join(str(it) for it in listed(self.resolve(value[1])))

    def fn_split(self, value):
        return str(self.resolve(value[1])).split(value[0])

    def fn_select(self, value):
        return self.resolve(value[1])[int(value[0])]

    def fn_equals(self, value):
        left, right = (self.resolve(it) for it in value)
        return str(left) == str(right)

    def fn_not(self, value):
        return not self.resolve(value[0])

    def fn_and(self, value):
        return all(self.resolve(it) for it in value)

    def fn_or(self, value):
        return any(self.resolve(it) for it in value)


def kebab(name):
    """`CheckTriggers` as `check-triggers`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower()


def functions(template):
    """Logical id without `Function` of each of the template's functions, by the function's name."""
    ids = [it for it, r in template["Resources"].items() if r["Type"] in ("AWS::Lambda::Function", "AWS::Serverless::Function")]
    return {kebab(it.removesuffix("Function")): it.removesuffix("Function") for it in ids}
