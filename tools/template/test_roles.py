"""Simulates the role of each function against every call that any adapter can make, on what is ours and on what is not."""

import unittest

import declared
from iam import decide
from rules import of_sources, statements
from template import ACCOUNT, REGION, Resolver, functions, read, translate

TEMPLATE = translate(read())
# A deployment that shares its account with others.
RESOLVER = Resolver(TEMPLATE, DataBucketName="their-data", SageMakerNames="flight-*")
OUTSIDE = f"arn:aws:%s:{REGION}:{ACCOUNT}:%s"

# By the beginning of an action: what it may touch, what it may not, and the context of the call.
OURS, THEIRS = {}, {}


def scope(prefix, ours, theirs):
    OURS[prefix], THEIRS[prefix] = ours, theirs


def sagemaker(kind, suffix="", name="flight-time"):
    return [OUTSIDE % ("sagemaker", f"{kind}/{name}{suffix}")], [
        OUTSIDE % ("sagemaker", f"{kind}/payroll{suffix}"),
        f"arn:aws:sagemaker:{REGION}:111122223333:{kind}/flight-time{suffix}",
    ]


TABLE, BUCKET, KEY = RESOLVER.arn("Table"), RESOLVER.arn("Bucket"), RESOLVER.arn("Key")
scope("dynamodb:", [TABLE], [OUTSIDE % ("dynamodb", "table/payroll")])
scope("dynamodb:DescribeStream", [f"{TABLE}/stream/x"], [OUTSIDE % ("dynamodb", "table/payroll/stream/x")])
for name in ("GetRecords", "GetShardIterator", "ListStreams"):
    scope(f"dynamodb:{name}", OURS["dynamodb:DescribeStream"], THEIRS["dynamodb:DescribeStream"])
scope("s3:GetObject", [f"{BUCKET}/runs/x"], ["arn:aws:s3:::payroll/x"])
scope("s3:PutObject", [f"{BUCKET}/runs/x"], ["arn:aws:s3:::payroll/x", "arn:aws:s3:::their-data/capture/x"])
scope("s3:DeleteObject", [f"{BUCKET}/runs/x"], [f"{BUCKET}/policies/x", f"{BUCKET}/decisions/x", f"{BUCKET}/windows/x", "arn:aws:s3:::their-data/labels/x"])
scope("s3:ListBucket", [BUCKET], ["arn:aws:s3:::payroll"])
scope("sns:", [RESOLVER.arn("AlertTopic")], [OUTSIDE % ("sns", "payroll"), RESOLVER.arn("AlarmTopic")])
scope("events:", [RESOLVER.arn("EventBus")], [OUTSIDE % ("events", "event-bus/default")])
scope("sqs:SendMessage", [RESOLVER.arn("FailedInvocations")], [RESOLVER.arn("DataQueue"), OUTSIDE % ("sqs", "payroll")])
for name in ("ReceiveMessage", "DeleteMessage", "GetQueueAttributes"):
    scope(f"sqs:{name}", [RESOLVER.arn("DataQueue")], [RESOLVER.arn("DataDeadLetters"), OUTSIDE % ("sqs", "payroll")])
scope("kms:", [KEY], [OUTSIDE % ("kms", "key/other")])
scope("logs:", [], [OUTSIDE % ("logs", "log-group:/aws/lambda/payroll:*")])
scope("iam:PassRole", [RESOLVER.arn("EndpointRole")], [RESOLVER.arn("PipelineRole"), RESOLVER.arn("SweepRole"), f"arn:aws:iam::{ACCOUNT}:role/admin"])
for name in ("DescribePipeline", "ListPipelineVersions", "StartPipelineExecution", "ListPipelineExecutions"):
    scope(f"sagemaker:{name}", *sagemaker("pipeline"))
for name in ("DescribePipelineExecution", "ListPipelineExecutionSteps", "StopPipelineExecution"):
    scope(f"sagemaker:{name}", *sagemaker("pipeline", "/execution/abc123"))
for name in ("DescribeModelPackage", "UpdateModelPackage"):
    scope(f"sagemaker:{name}", *sagemaker("model-package", "/3"))
for name in ("DescribeEndpoint", "CreateEndpoint", "UpdateEndpoint", "UpdateEndpointWeightsAndCapacities"):
    scope(f"sagemaker:{name}", *sagemaker("endpoint"))
# What Refit makes itself is named after its content; what others made is only looked at.
for kind, action in (("endpoint-config", "EndpointConfig"), ("model", "Model")):
    ours, theirs = sagemaker(kind, name="refit-0123456789abcdef")
    scope(f"sagemaker:Create{action}", ours, [*theirs, OUTSIDE % ("sagemaker", f"{kind}/flight-time")])
    scope(f"sagemaker:Describe{action}", [*ours, OUTSIDE % ("sagemaker", f"{kind}/flight-time")], theirs)

# What no function ever needs.
NEVER = [
    ("dynamodb:UpdateItem", TABLE),
    ("dynamodb:Scan", TABLE),
    ("dynamodb:DeleteTable", TABLE),
    ("dynamodb:PartiQLDelete", TABLE),
    ("dynamodb:UpdateContinuousBackups", TABLE),
    ("s3:DeleteObjectVersion", f"{BUCKET}/runs/x"),
    ("s3:PutBucketPolicy", BUCKET),
    ("s3:PutLifecycleConfiguration", BUCKET),
    ("kms:ScheduleKeyDeletion", KEY),
    ("kms:CreateGrant", KEY),
    ("iam:CreateRole", f"arn:aws:iam::{ACCOUNT}:role/new"),
    ("iam:PutRolePolicy", RESOLVER.arn("SweepRole")),
    ("lambda:UpdateFunctionCode", RESOLVER.arn("SweepFunction")),
    ("lambda:InvokeFunction", RESOLVER.arn("PromoteModelFunction")),
    ("events:PutRule", OUTSIDE % ("events", "rule/x")),
    ("sns:Subscribe", RESOLVER.arn("AlertTopic")),
    ("sagemaker:DeleteEndpoint", OUTSIDE % ("sagemaker", "endpoint/flight-time")),
    ("sagemaker:DeleteModelPackage", OUTSIDE % ("sagemaker", "model-package/flight-time/3")),
    ("sagemaker:CreateTrainingJob", OUTSIDE % ("sagemaker", "training-job/x")),
    ("sagemaker:CreatePipeline", OUTSIDE % ("sagemaker", "pipeline/flight-time-retrain")),
    ("sagemaker:UpdatePipeline", OUTSIDE % ("sagemaker", "pipeline/flight-time-retrain")),
    ("sts:AssumeRole", RESOLVER.arn("EndpointRole")),
]


def scoped(table, action):
    return table[max((it for it in table if action.startswith(it)), key=len)]


def context(action, **changes):
    """A call as an adapter makes it."""
    it = {"aws:SecureTransport": "true", "s3:ResourceAccount": ACCOUNT, "events:source": "refit", "iam:PassedToService": "sagemaker.amazonaws.com"}
    it["kms:ViaService"] = f"dynamodb.{REGION}.amazonaws.com"
    if action.startswith("dynamodb:"):
        it["dynamodb:LeadingKeys"] = ["MODEL#flight-time"]
        it["dynamodb:EnclosingOperation"] = ["TransactWriteItems"]
    return {**it, **changes}


class Roles(unittest.TestCase):
    def setUp(self):
        called = declared.actions()
        self.called = {
            name: called[name] | of_sources(TEMPLATE, logical) for name, logical in functions(TEMPLATE).items() if name in called
        }
        self.assertEqual(set(self.called), set(functions(TEMPLATE)))
        self.actions = sorted(set().union(*self.called.values()))

    def decide(self, function, action, resource, **changes):
        role = functions(TEMPLATE)[function] + "Role"
        resolved = RESOLVER.resolve(list(statements(TEMPLATE["Resources"][role])))
        return decide(resolved, action, resource, context(action, **changes))

    def test_each_role_allows_its_calls_and_no_other(self):
        asked = 0
        for function, called in self.called.items():
            logs = RESOLVER.arn(functions(TEMPLATE)[function] + "Logs")
            for action in self.actions:
                ours = scoped(OURS, action) or [logs]
                expected = "allowed" if action in called else "implicit_deny"
                for resource in ours:
                    found = self.decide(function, action, resource)
                    self.assertTrue(found == expected or expected != "allowed" and found != "allowed", f"{function} {action} {resource}: {found}")
                for resource in scoped(THEIRS, action):
                    self.assertNotEqual(self.decide(function, action, resource), "allowed", f"{function} {action} {resource}")
                asked += len(ours) + len(scoped(THEIRS, action))
            for action, resource in NEVER:
                self.assertNotEqual(self.decide(function, action, resource), "allowed", f"{function} {action} {resource}")
                asked += 1
        self.assertLess(500, asked)

    def test_nobody_writes_outside_of_a_transaction(self):
        for function in self.called:
            for action in ("dynamodb:PutItem", "dynamodb:DeleteItem"):
                for operation in ([], ["BatchWriteItem"]):
                    found = self.decide(function, action, TABLE, **{"dynamodb:EnclosingOperation": operation})
                    self.assertEqual(found, "implicit_deny", f"{function} {action}")

    def test_nobody_changes_or_removes_an_entry_of_the_audit_log(self):
        for function in self.called:
            for keys in (["AUDIT#flight-time"], ["MODEL#flight-time", "AUDIT#flight-time"]):
                for action in ("dynamodb:DeleteItem", "dynamodb:UpdateItem"):
                    self.assertEqual(self.decide(function, action, TABLE, **{"dynamodb:LeadingKeys": keys}), "explicit_deny", f"{function} {action}")

    def test_what_is_passed_and_sent_is_limited(self):
        for changes, action, resource in [
            ({"iam:PassedToService": "lambda.amazonaws.com"}, "iam:PassRole", RESOLVER.arn("EndpointRole")),
            ({"s3:ResourceAccount": "111122223333"}, "s3:GetObject", f"{BUCKET}/runs/x"),
            ({"events:source": "aws.sagemaker"}, "events:PutEvents", RESOLVER.arn("EventBus")),
            ({"kms:ViaService": f"ec2.{REGION}.amazonaws.com"}, "kms:Decrypt", KEY),
        ]:
            for function in self.called:
                self.assertNotEqual(self.decide(function, action, resource, **changes), "allowed", f"{function} {action} {changes}")

    def test_data_of_others_is_read_and_never_written(self):
        for function in ("check-triggers", "record-window"):
            self.assertEqual(self.decide(function, "s3:GetObject", "arn:aws:s3:::their-data/capture/x"), "allowed")
            self.assertEqual(self.decide(function, "s3:ListBucket", "arn:aws:s3:::their-data"), "allowed")

    def test_only_the_sweep_reads_the_index(self):
        readers = [it for it in self.called if self.decide(it, "dynamodb:Query", f"{TABLE}/index/due") == "allowed"]
        self.assertEqual(readers, ["sweep"])

    def test_people_may_do_what_their_policy_says(self):
        api = f"arn:aws:execute-api:{REGION}:{ACCOUNT}:{RESOLVER.ref('Api')}/$default"
        # As crates/api/src/principal.rs says.
        rights = {
            "ViewerPolicy": {"See"},
            "OperatorPolicy": {"See", "Trigger", "RollBack"},
            "ApproverPolicy": {"See", "Approve", "RollBack"},
            "AdminPolicy": {"See", "Trigger", "Approve", "RollBack", "Configure"},
        }
        run, model = "/v1/runs/{run}", "/v1/models/{model}"
        routes = [
            ("GET", "/v1/models", "See"),
            ("POST", f"{model}/runs", "Trigger"),
            ("POST", f"{model}/rollback", "RollBack"),
            ("POST", f"{run}/cancel", "Trigger"),
            ("POST", f"{run}/approval", "Approve"),
            ("PUT", "/v1/config", "Configure"),
        ]
        found = declared.routes()
        self.assertTrue(not found or set(routes) <= set(found), "the routes of the API were not understood")
        for policy, may in rights.items():
            document = RESOLVER.resolve(TEMPLATE["Resources"][policy]["Properties"]["PolicyDocument"])
            for method, path, right in found or routes:
                path = path.replace("{model}", "flight-time").replace("{run}", "flight-time-r0001")
                decision = decide(document["Statement"], "execute-api:Invoke", f"{api}/{method}{path}", {})
                self.assertEqual(decision == "allowed", right in may, f"{policy} {method} {path}")


class Evaluation(unittest.TestCase):
    def test_statements_are_evaluated_as_the_guide_says(self):
        allow = {"Effect": "Allow", "Action": "s3:Get*", "Resource": "arn:aws:s3:::b/*"}
        deny = {"Effect": "Deny", "Action": "s3:*", "Resource": "*", "Condition": {"Bool": {"aws:SecureTransport": "false"}}}
        any_of = {**allow, "Condition": {"ForAnyValue:StringLike": {"k": ["A#*"]}}}
        for it, action, resource, keys, expected in [
            ([allow], "s3:GetObject", "arn:aws:s3:::b/x", {}, "allowed"),
            ([allow], "s3:getobject", "arn:aws:s3:::b/x", {}, "allowed"),
            ([allow], "s3:PutObject", "arn:aws:s3:::b/x", {}, "implicit_deny"),
            ([allow], "s3:GetObject", "arn:aws:s3:::bb/x", {}, "implicit_deny"),
            ([allow, deny], "s3:GetObject", "arn:aws:s3:::b/x", {"aws:SecureTransport": "false"}, "explicit_deny"),
            ([allow, deny], "s3:GetObject", "arn:aws:s3:::b/x", {"aws:SecureTransport": "true"}, "allowed"),
            ([any_of], "s3:GetObject", "arn:aws:s3:::b/x", {"k": ["B", "A#1"]}, "allowed"),
            ([any_of], "s3:GetObject", "arn:aws:s3:::b/x", {"k": ["B"]}, "implicit_deny"),
            ([any_of], "s3:GetObject", "arn:aws:s3:::b/x", {}, "implicit_deny"),
        ]:
            with self.subTest(action=action, keys=keys):
                self.assertEqual(decide(it, action, resource, keys), expected)


if __name__ == "__main__":
    unittest.main()
