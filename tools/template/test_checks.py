"""A check that cannot fail proves nothing: each rule finds what is broken on purpose, and nothing in the template as it is."""

import copy
import json
import unittest
from pathlib import Path

import check
import from_s3
import rules
from pattern import matches
from template import ROOT, Resolver, read, translate

SOURCE = read()
GOOD = translate(SOURCE)
BAD = translate(read(Path(__file__).parent / "bad.yaml"))


def statement(template, role, sid):
    return next(it for it in rules.statements(template["Resources"][role]) if it["Sid"] == sid)


def properties(template, name):
    return template["Resources"][name]["Properties"]


def drop(name, *path):
    """Takes a property of a resource away."""

    def act(template):
        it = properties(template, name)
        for part in path[:-1]:
            it = it[part]
        assert path[-1] in it, f"{name} has no {path}"
        del it[path[-1]]

    return act


def put(name, *path):
    """Sets a property of a resource; the value stands last."""

    def act(template):
        it = properties(template, name)
        for part in path[:-2]:
            it = it[part]
        it[path[-2]] = path[-1]

    return act


def allow(role, sid, action):
    def act(template):
        it = statement(template, role, sid)
        it["Action"] = [*(it["Action"] if isinstance(it["Action"], list) else [it["Action"]]), action]

    return act


def change(role, sid, **changes):
    def act(template):
        statement(template, role, sid).update(changes)

    return act


def deny_nothing(role):
    def act(template):
        document = properties(template, role)["Policies"][0]["PolicyDocument"]
        document["Statement"] = [it for it in document["Statement"] if it["Effect"] == "Allow"]

    return act


def parameter(name, *keys):
    def act(template):
        for key in keys:
            template["Parameters"][name].pop(key, None)

    return act


def attribute(name, key, value):
    def act(template):
        template["Resources"][name][key] = value

    return act


def remove(name):
    def act(template):
        del template["Resources"][name]

    return act


# What is broken, by the rule that has to find it.
BREAKS = {
    "routes_are_authorized": [
        put("ApiRoute", "AuthorizationType", "NONE"),
        drop("ApiRootRoute", "AuthorizationType"),
        lambda it: it["Parameters"]["ApiAuthorization"]["AllowedValues"].append("NONE"),
        put("Api", "Body", {}),
    ],
    "targets_have_dead_letters_and_retries": [
        drop("DataRule", "Targets", 0, "DeadLetterConfig"),
        drop("WebhookRule", "Targets", 0, "RetryPolicy"),
        drop("SweepFunctionSchedule", "Targets", 0, "RetryPolicy"),
        drop("AlertEmailSubscription", "RedrivePolicy"),
        drop("CheckTriggersFunctionAlarmByTopic", "RedrivePolicy"),
        drop("DataQueue", "RedrivePolicy"),
        remove("SweepFunctionEventInvokeConfig"),
        drop("ApiFunctionEventInvokeConfig", "DestinationConfig"),
        drop("PublishEventsFunctionAuditLog", "DestinationConfig"),
        drop("PublishEventsFunctionAuditLog", "MaximumRetryAttempts"),
        drop("RecordWindowFunctionFiles", "FunctionResponseTypes"),
    ],
    "pass_role_is_conditioned": [
        change("PromoteModelRole", "ServeUnderTheRoleForIt", Condition={}),
        change("PromoteModelRole", "ServeUnderTheRoleForIt", Resource="*"),
        allow("PromoteModelRole", "ServeUnderTheRoleForIt", "iam:GetRole"),
        change("PipelineRole", "RunJobsUnderThisRole", Condition={}),
    ],
    "roles_allow_what_is_called": [
        allow("SweepRole", "ReadState", "dynamodb:Scan"),
        change("StartRetrainingRole", "TellPeople", Action="sns:Subscribe"),
        allow("ApiRole", "ReadState", "sagemaker:DescribeEndpoint"),
        remove("SweepRole"),
        put("SweepFunction", "Role", {"Fn::GetAtt": ["PromoteModelRole", "Arn"]}),
        remove("RecordWindowFunctionFiles"),
    ],
    "variables_are_read": [
        put("SweepFunction", "Environment", "Variables", "REFIT_TABEL", "x"),
        drop("PromoteModelFunction", "Environment", "Variables", "REFIT_ENDPOINT_ROLE"),
        put("SweepFunction", "Environment", "Variables", "REFIT_ENDPOINT_ROLE", "x"),
    ],
    "state_changes_in_transactions_only": [
        change("PublishEventsRole", "WriteStateInTransactionsOnly", Condition={}),
        deny_nothing("CheckTriggersRole"),
        change("SweepRole", "NeverRemoveFromTheAuditLog", Action="dynamodb:UpdateItem"),
    ],
    "services_act_for_this_account_only": [
        lambda it: properties(it, "DataQueuePolicy")["PolicyDocument"]["Statement"][0].pop("Condition"),
        lambda it: properties(it, "AlarmTopicPolicy")["PolicyDocument"]["Statement"][0].pop("Condition"),
        lambda it: properties(it, "PipelineRole")["AssumeRolePolicyDocument"]["Statement"][0].pop("Condition"),
        lambda it: properties(it, "Key")["KeyPolicy"]["Statement"][1].pop("Condition"),
        lambda it: [properties(it, "ApiPermission").pop(key) for key in ("SourceArn", "SourceAccount")],
    ],
    "resources_are_named": [
        change("SweepRole", "ReadState", Resource="*"),
        allow("SweepRole", "ReadState", "dynamodb:*"),
        lambda it: properties(it, "ViewerPolicy")["PolicyDocument"]["Statement"][0].update(Resource="*"),
    ],
    "logs_end": [drop("SweepLogs", "RetentionInDays"), drop("SweepFunction", "LoggingConfig")],
    "trouble_is_alarmed": [
        remove("DataDeadLettersAlarm"),
        remove("FailedInvocationsAlarm"),
        remove("ApiErrors"),
        remove("StreamAgeAlarm"),
        remove("MissedSweepAlarm"),
        put("MissedSweepAlarm", "TreatMissingData", "notBreaching"),
        put("StreamAgeAlarm", "AlarmActions", []),
    ],
    "dashboard_shows_every_alarm": [
        put("Dashboard", "DashboardBody", "{"),
        put("Dashboard", "DashboardBody", '{"widgets": []}'),
        lambda it: it["Resources"].update({"NewAlarm": it["Resources"]["ParkedAlarm"]}),
    ],
    "state_is_kept": [
        attribute("Table", "DeletionPolicy", "Delete"),
        attribute("Bucket", "UpdateReplacePolicy", "Delete"),
        lambda it: it["Resources"]["PackageGroup"].pop("DeletionPolicy"),
    ],
    "emulator_is_enough": [lambda it: it["Resources"]["Archive"].pop("Condition"), lambda it: it["Resources"]["Pipeline"].pop("Condition")],
    "parameters_are_explained": [
        parameter("AlertEmail", "Description"),
        parameter("ModelId", "Default"),
        parameter("StepImage", "AllowedPattern"),
        lambda it: it["Parameters"].pop("LogLevel"),
    ],
    "pipeline_is_the_definition": [
        put("Pipeline", "PipelineDefinition", "PipelineDefinitionBody", "{}"),
        put("Pipeline", "PipelineDescription", "an older one"),
        remove("Pipeline"),
    ],
    "limits_hold": [lambda it: it["Resources"].update({f"Queue{i}": {"Type": "AWS::SQS::Queue"} for i in range(500)})],
    "events_go_where_the_local_world_sends_them": [
        remove("EvaluateCandidateFunctionExecutions"),
        drop("PromoteModelFunctionApprovalsAndRollouts", "EventPattern", "detail-type"),
        drop("CheckTriggersFunctionAlarmByEvent", "EventPattern", "detail", "state"),
        put("DataRule", "EventPattern", "source", ["aws.s4"]),
        put("StartRetrainingFunctionRunsAndSlots", "EventBusName", "default"),
        drop("SweepFunctionWakeUp", "EventPattern") if "SweepFunctionWakeUp" in GOOD["Resources"] else remove("SweepFunctionSchedule"),
    ],
}


class Rules(unittest.TestCase):
    def test_every_rule_finds_what_is_broken(self):
        known = set(rules.every(GOOD, SOURCE)) - {"names_are_one"}
        self.assertEqual(known, set(BREAKS), "say here how each rule is broken")
        for rule, breaks in BREAKS.items():
            self.assertEqual(list(getattr(rules, rule)(GOOD)), [], rule)
            for number, act in enumerate(breaks):
                with self.subTest(rule=rule, number=number):
                    broken = copy.deepcopy(GOOD)
                    act(broken)
                    self.assertNotEqual(list(getattr(rules, rule)(broken)), [], f"{rule} does not find break {number}")

    def test_names_are_one_finds_another_name(self):
        self.assertEqual(list(rules.names_are_one(GOOD, SOURCE)), [])
        for key, value in [("Metadata", {}), ("Properties", {"FunctionName": "sweep"})]:
            source = copy.deepcopy(SOURCE)
            source["Resources"]["SweepFunction"][key] = value
            self.assertNotEqual(list(rules.names_are_one(GOOD, source)), [], key)

    def test_the_bad_template_breaks_every_rule(self):
        found = rules.every(BAD, read(Path(__file__).parent / "bad.yaml"))
        # It has no more resources than a template may have.
        self.assertEqual([rule for rule, it in found.items() if not it], ["limits_hold"])

    def test_parameters_change_where_events_go(self):
        other = {"source": "airline.schedule", "account": "000000000000", "detail-type": "Season Changed", "detail": {}}
        self.assertEqual(rules.targets(GOOD, other), [])
        self.assertEqual(rules.targets(GOOD, other, CustomEventSources="my.shop,airline.schedule"), ["check-triggers"])
        self.assertEqual(rules.targets(GOOD, {**other, "account": "111122223333"}, CustomEventSources="airline.schedule"), [])
        alarm = {"source": "aws.cloudwatch", "account": "000000000000", "detail-type": "CloudWatch Alarm State Change"}
        alarm["detail"] = {"alarmName": "ml-latency", "state": {"value": "ALARM"}}
        for prefix, expected in [("", ["check-triggers"]), ("ml-", ["check-triggers"]), ("web-", [])]:
            self.assertEqual(rules.targets(GOOD, alarm, AlarmNamePrefix=prefix), expected, prefix)
        tick = {"source": "aws.events", "detail-type": "Scheduled Event"}
        self.assertEqual(rules.targets(GOOD, tick), ["sweep"])
        self.assertEqual(rules.targets(GOOD, tick, SweepState="DISABLED"), [])

    def test_an_event_of_another_account_wakes_nobody(self):
        event = {"source": "refit", "detail-type": "Retraining Requested", "account": "111122223333", "detail": {"model": "m"}}
        self.assertEqual(rules.targets(GOOD, event), [])
        self.assertEqual(rules.targets(GOOD, {**event, "account": "000000000000"}), ["start-retraining"])


class Pipelines(unittest.TestCase):
    def test_the_pipeline_without_a_registry_is_made_from_the_other(self):
        definition, made = (json.loads((ROOT / f"infra/pipelines/{it}.json").read_text()) for it in ("retrain", "retrain-from-s3"))
        self.assertEqual(made, from_s3.from_s3(definition), "run tools/template/from_s3.py")


class Patterns(unittest.TestCase):
    def test_patterns_match_as_the_guide_says(self):
        event = {"source": "refit", "detail": {"key": "capture/x", "names": ["a", "b"], "n": 1}}
        for pattern, expected in [
            ({"source": ["refit", "other"]}, True),
            ({"source": ["other"]}, False),
            ({"detail": {"key": [{"prefix": "capture/"}]}}, True),
            ({"detail": {"key": [{"prefix": "labels/"}]}}, False),
            ({"detail": {"key": [{"suffix": "/x"}]}}, True),
            ({"detail": {"names": ["b"]}}, True),
            ({"detail": {"n": [1]}}, True),
            ({"detail": {"n": ["1"]}}, False),
            ({"source": [{"anything-but": ["refit"]}]}, False),
            ({"source": [{"anything-but": "other"}]}, True),
            ({"gone": [{"exists": False}]}, True),
            ({"gone": ["x"]}, False),
            ({"source": ["refit"], "detail": {"key": ["other"]}}, False),
        ]:
            with self.subTest(pattern=pattern):
                self.assertEqual(matches(pattern, event), expected)


class Resolving(unittest.TestCase):
    def test_intrinsic_functions_come_to_their_values(self):
        resolver = Resolver(GOOD, CapturePrefix="in/")
        for it, expected in [
            ({"Ref": "CapturePrefix"}, "in/"),
            ({"Fn::Sub": "a-${AWS::StackName}-${CapturePrefix}"}, "a-refit-in/"),
            ({"Fn::Sub": ["${X}${!Y}", {"X": {"Ref": "AWS::Region"}}]}, "us-east-1${!Y}"),
            ({"Fn::Select": [1, {"Fn::Split": ["/", "a/b"]}]}, "b"),
            ({"Fn::If": ["HasModel", 1, {"Ref": "AWS::NoValue"}]}, None),
            ([{"Ref": "AWS::NoValue"}, 1], [1]),
            ({"Fn::GetAtt": ["Table", "Arn"]}, "arn:aws:dynamodb:us-east-1:000000000000:table/refit-Table"),
        ]:
            with self.subTest(it=it):
                self.assertEqual(resolver.resolve(it), expected)


class Options(unittest.TestCase):
    EVERYTHING = {
        "AlertEmail": "ml-team@example.com",
        "SlackWebhookSecretArn": "arn:aws:secretsmanager:us-east-1:000000000000:secret:slack-AbCdEf",
        "WebhookUrl": "https://example.com/hook",
        "WebhookSecretArn": "arn:aws:secretsmanager:us-east-1:000000000000:secret:hook-AbCdEf",
        "DataBucketName": "their-data",
        "ModelId": "flight-time",
        "StepImage": "000000000000.dkr.ecr.us-east-1.amazonaws.com/refit-step:1",
        "AlarmNamePrefix": "ml-",
        "CustomEventSources": "airline.schedule",
        "ApiAuthorization": "JWT",
        "JwtIssuer": "https://issuer.example.com",
        "JwtAudience": "refit",
        "ArchiveDays": 30,
        "ReservedConcurrency": 5,
        "VpcSubnetIds": "subnet-1,subnet-2",
        "VpcSecurityGroupIds": "sg-1",
        "ClockUrl": "http://127.0.0.1:5666/clock",
    }

    def test_each_piece_is_off_by_default_and_on_by_a_parameter(self):
        plain, everything = Resolver(GOOD), Resolver(GOOD, **self.EVERYTHING)
        optional = [name for name, it in GOOD["Resources"].items() if "Condition" in it]
        self.assertLessEqual(12, len(optional))
        for name in optional:
            self.assertFalse(plain.is_made(name), name)
            self.assertTrue(everything.is_made(name), name)
        for name, it in GOOD["Resources"].items():
            self.assertIsInstance(everything.resolve(it["Properties"]), dict, name)
            if plain.is_made(name):
                plain.resolve(it["Properties"])

    def test_values_fit_the_patterns_of_their_parameters(self):
        for name, it in GOOD["Parameters"].items():
            for value in [str(it["Default"]), str(self.EVERYTHING.get(name, it["Default"]))]:
                self.assertRegex(value, it.get("AllowedPattern", "^"), name)
                self.assertIn(value, [str(v) for v in it.get("AllowedValues", [value])], name)

    def test_options_reach_what_they_are_for(self):
        everything = Resolver(GOOD, **self.EVERYTHING)
        sweep = everything.resources("AWS::Lambda::Function")["SweepFunction"]
        self.assertEqual(sweep["VpcConfig"], {"SubnetIds": ["subnet-1", "subnet-2"], "SecurityGroupIds": ["sg-1"]})
        self.assertEqual(sweep["ReservedConcurrentExecutions"], 5)
        self.assertEqual(sweep["Environment"]["Variables"]["REFIT_CLOCK_URL"], "http://127.0.0.1:5666/clock")
        self.assertNotIn("VpcConfig", Resolver(GOOD).resources("AWS::Lambda::Function")["SweepFunction"])
        for route in everything.resources("AWS::ApiGatewayV2::Route").values():
            self.assertEqual(route["AuthorizationType"], "JWT")
            self.assertIn("AuthorizerId", route)
        for route in Resolver(GOOD).resources("AWS::ApiGatewayV2::Route").values():
            self.assertEqual(route["AuthorizationType"], "AWS_IAM")
            self.assertNotIn("AuthorizerId", route)


class Waivers(unittest.TestCase):
    def test_a_waiver_is_for_one_check_and_its_resources(self):
        finding = {"check": "CKV_1", "resource": "AWS::S3::Bucket.Bucket", "says": ""}
        for waiver, left, unused in [
            ({"check": "CKV_1", "resources": "AWS::S3::Bucket.*"}, [], []),
            ({"check": "CKV_1", "resources": "AWS::SQS::Queue.*"}, [finding], ["CKV_1"]),
            ({"check": "CKV_2", "resources": "*"}, [finding], ["CKV_2"]),
        ]:
            with self.subTest(waiver=waiver):
                self.assertEqual(check.waive([finding], [waiver]), (left, unused))


if __name__ == "__main__":
    unittest.main()
