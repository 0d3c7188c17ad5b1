"""What no linter sees. Each rule takes the template as CloudFormation sees it and answers with what is wrong, one sentence each."""

import hashlib
import json
import re

import declared
from pattern import matches
from template import ACCOUNT, ROOT, Resolver, functions, kebab, listed

# What the emulated cloud lacks: it stands behind a condition, so that the template is deployed there as it is.
NOT_EMULATED = re.compile(
    r"^AWS::(SageMaker::.*|CodeDeploy::.*|Chatbot::.*|Events::(Archive|Connection|ApiDestination|EventBusPolicy)|CloudWatch::CompositeAlarm)$"
)
KEPT = {"AWS::DynamoDB::Table", "AWS::S3::Bucket", "AWS::KMS::Key", "AWS::SageMaker::ModelPackageGroup"}
# Actions that AWS can limit to no resource.
ANY_RESOURCE = {"cloudwatch:PutMetricData", "ecr:GetAuthorizationToken"}
# One executable for all: `sam build` builds it once.
BUILD = {"Binary": "refit-lambda"}
WRITES = {"dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"}


def each(template, *types):
    return [(name, it) for name, it in template["Resources"].items() if it["Type"] in types]


def statements(role):
    """A role's own statements, resolved or not."""
    for policy in role["Properties"].get("Policies", []):
        yield from listed(policy["PolicyDocument"]["Statement"])


def allowed(role):
    """Every action that a role is allowed."""
    return {a for it in statements(role) if it["Effect"] == "Allow" for a in listed(it["Action"])}


def routes_are_authorized(template):
    kinds = {"AWS_IAM", "JWT"}
    parameters = template.get("Parameters", {})
    found = each(template, "AWS::ApiGatewayV2::Route", "AWS::ApiGateway::Method")
    for name, it in found:
        authorization = it["Properties"].get("AuthorizationType")
        if isinstance(authorization, dict) and "Ref" in authorization:
            values = set(parameters.get(authorization["Ref"], {}).get("AllowedValues", ["NONE"]))
        else:
            values = {authorization}
        if not values <= kinds:
            yield f"{name}: anybody may call it (AuthorizationType {authorization or 'is not set'})"
    for name, it in each(template, "AWS::ApiGatewayV2::Api", "AWS::ApiGateway::RestApi"):
        if "Body" in it["Properties"] or "BodyS3Location" in it["Properties"]:
            yield f"{name}: its routes stand in a document in which this rule cannot see who may call them"
    for name, it in each(template, "AWS::Lambda::Url"):
        if it["Properties"].get("AuthType") != "AWS_IAM":
            yield f"{name}: anybody may call it"
    if not found:
        yield "no route was found at all"


def targets_have_dead_letters_and_retries(template):
    for name, it in each(template, "AWS::Events::Rule"):
        for target in it["Properties"].get("Targets", []):
            for key in ("DeadLetterConfig", "RetryPolicy"):
                if key not in target:
                    yield f"{name}: target {target['Id']} has no {key}"
    for name, it in each(template, "AWS::Scheduler::Schedule"):
        for key in ("DeadLetterConfig", "RetryPolicy"):
            if key not in it["Properties"]["Target"]:
                yield f"{name}: its target has no {key}"
    for name, it in each(template, "AWS::SNS::Subscription"):
        if "RedrivePolicy" not in it["Properties"]:
            yield f"{name}: it has no RedrivePolicy"
    configured = {}
    for name, it in each(template, "AWS::Lambda::EventInvokeConfig"):
        function = it["Properties"]["FunctionName"]
        configured[function["Ref"] if isinstance(function, dict) else function] = (name, it["Properties"])
    for function, _ in each(template, "AWS::Lambda::Function"):
        if function not in configured:
            yield f"{function}: what it cannot handle is dropped (no EventInvokeConfig)"
            continue
        name, config = configured[function]
        if "Destination" not in config.get("DestinationConfig", {}).get("OnFailure", {}):
            yield f"{name}: it has no destination on failure"
        for key in ("MaximumRetryAttempts", "MaximumEventAgeInSeconds"):
            if key not in config:
                yield f"{name}: it has no {key}"
    for name, it in each(template, "AWS::Lambda::EventSourceMapping"):
        properties = it["Properties"]
        if "ReportBatchItemFailures" not in properties.get("FunctionResponseTypes", []):
            yield f"{name}: one bad record fails its whole batch"
        source = properties["EventSourceArn"].get("Fn::GetAtt", ["?", "?"])
        if template["Resources"].get(source[0], {}).get("Type") == "AWS::SQS::Queue":
            if "RedrivePolicy" not in template["Resources"][source[0]]["Properties"]:
                yield f"{name}: its queue {source[0]} has no RedrivePolicy"
        else:
            if "Destination" not in properties.get("DestinationConfig", {}).get("OnFailure", {}):
                yield f"{name}: it has no destination on failure"
            if properties.get("MaximumRetryAttempts", -1) < 0:
                yield f"{name}: a bad record stops the stream for a day (no MaximumRetryAttempts)"


def pass_role_is_conditioned(template):
    for name, role in each(template, "AWS::IAM::Role", "AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"):
        for it in statements(role) if "Policies" in role["Properties"] else []:
            actions = listed(it["Action"])
            if it["Effect"] != "Allow" or not any(a in ("iam:PassRole", "iam:*", "*") for a in actions):
                continue
            if actions != ["iam:PassRole"]:
                yield f"{name}: iam:PassRole stands with other actions in {it.get('Sid')}"
            if "iam:PassedToService" not in it.get("Condition", {}).get("StringEquals", {}):
                yield f"{name}: iam:PassRole is not limited to a service (iam:PassedToService)"
            if any(r == "*" for r in listed(it["Resource"])):
                yield f"{name}: iam:PassRole is not limited to a role"


def of_sources(template, function):
    """The actions that a function needs for what feeds it, and for where its failures go."""
    needed = {"logs:CreateLogStream", "logs:PutLogEvents", "kms:Decrypt", "kms:GenerateDataKey", "sqs:SendMessage"}
    for _, it in each(template, "AWS::Lambda::EventSourceMapping"):
        if it["Properties"]["FunctionName"].get("Ref", "").startswith(f"{function}Function"):
            kind = template["Resources"][it["Properties"]["EventSourceArn"]["Fn::GetAtt"][0]]["Type"]
            if kind == "AWS::SQS::Queue":
                needed |= {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"}
            else:
                needed |= {f"dynamodb:{it}" for it in ("DescribeStream", "GetRecords", "GetShardIterator", "ListStreams")}
    return needed


def roles_allow_what_is_called(template, root=ROOT):
    called = declared.actions(root)
    ids = functions(template)
    for function in sorted(set(called) - set(ids)):
        yield f"{function}: it is not in the template"
    for function, logical in ids.items():
        role = template["Resources"].get(f"{logical}Role")
        if role is None:
            yield f"{function}: it has no role of its own"
            continue
        arn = template["Resources"][f"{logical}Function"]["Properties"]["Role"]
        if arn != {"Fn::GetAtt": [f"{logical}Role", "Arn"]}:
            yield f"{function}: it does not run under {logical}Role"
        if function not in called:
            yield f"{function}: functions/README.md does not say what it calls"
            continue
        needed = called[function] | of_sources(template, logical)
        for action in sorted(needed - allowed(role)):
            yield f"{function}: it calls {action}, which {logical}Role does not allow"
        for action in sorted(allowed(role) - needed):
            yield f"{function}: {logical}Role allows {action}, which it never calls"


def variables_are_read(template, root=ROOT):
    read = declared.variables(root)
    if not read:
        yield "functions/README.md lists no variables"
    for function, logical in functions(template).items():
        given = set(template["Resources"][f"{logical}Function"]["Properties"].get("Environment", {}).get("Variables", {}))
        wanted = {name for name, readers in read.items() if readers is None or function in readers}
        for name in sorted(wanted - given):
            yield f"{function}: it reads {name}, which is not set"
        for name in sorted(given - wanted):
            yield f"{function}: {name} is set, which it never reads"


def names_are_one(template, source, root=ROOT):
    """Logical id = handler = folder of samples = name of the function."""
    for logical, it in source["Resources"].items():
        if it["Type"] != "AWS::Serverless::Function":
            continue
        name = kebab(logical.removesuffix("Function"))
        if not logical.endswith("Function"):
            yield f"{logical}: the id of a function ends with Function"
        metadata = it.get("Metadata", {})
        if metadata.get("BuildMethod") != "rust-cargolambda":
            yield f"{logical}: it is not built by rust-cargolambda"
        if metadata.get("BuildProperties") != BUILD:
            yield f"{logical}: it is not built as {BUILD} like every function, so that one executable is built for all"
        if it["Properties"].get("Handler") != name:
            yield f"{logical}: its handler is not {name}"
        if it["Properties"].get("FunctionName") != {"Fn::Sub": f"${{AWS::StackName}}-{name}"}:
            yield f"{logical}: its name is not STACK-{name}"
        if not list((root / "events" / name).glob("*.json")):
            yield f"{logical}: events/{name} has no samples"
    for name in sorted(declared.actions(root).keys() ^ set(functions(template))):
        yield f"{name}: it is a function of functions/README.md or of the template, and not both"


def state_changes_in_transactions_only(template):
    for name, role in each(template, "AWS::IAM::Role"):
        grants = [it for it in statements(role) if it["Effect"] == "Allow" and WRITES & set(listed(it["Action"]))]
        for it in grants:
            operations = it.get("Condition", {}).get("ForAnyValue:StringEquals", {}).get("dynamodb:EnclosingOperation")
            if operations != ["TransactWriteItems"]:
                yield f"{name}: {it.get('Sid')} lets it write outside of transactions (dynamodb:EnclosingOperation)"
        denies = [it for it in statements(role) if it["Effect"] == "Deny" and {"dynamodb:UpdateItem", "dynamodb:DeleteItem"} <= set(listed(it["Action"]))]
        keys = [it.get("Condition", {}).get("ForAnyValue:StringLike", {}).get("dynamodb:LeadingKeys") for it in denies]
        if grants and ["AUDIT#*"] not in keys:
            yield f"{name}: nothing keeps it from changing the audit log (deny on dynamodb:LeadingKeys AUDIT#*)"


def services_act_for_this_account_only(template):
    """A service acts for whoever asks it to: say for whom it may."""
    kinds = {
        "AWS::SQS::QueuePolicy": "PolicyDocument",
        "AWS::SNS::TopicPolicy": "PolicyDocument",
        "AWS::S3::BucketPolicy": "PolicyDocument",
        "AWS::KMS::Key": "KeyPolicy",
        "AWS::IAM::Role": "AssumeRolePolicyDocument",
    }
    for name, it in each(template, *kinds):
        for statement in listed(it["Properties"][kinds[it["Type"]]]["Statement"]):
            principal = statement.get("Principal")
            services = listed(principal.get("Service", [])) if isinstance(principal, dict) else []
            # Lambda and CodeDeploy do not say for whom they assume a role; logs say it by the encryption context.
            if statement["Effect"] != "Allow" or not services or {"lambda.amazonaws.com", "codedeploy.amazonaws.com"} & {str(s) for s in services}:
                continue
            keys = {key for test in statement.get("Condition", {}).values() for key in test}
            if not keys & {"aws:SourceAccount", "aws:SourceArn", "kms:EncryptionContext:aws:logs:arn"}:
                yield f"{name}: {statement.get('Sid', 'a statement')} lets {', '.join(map(str, services))} act for any account"
    for name, it in each(template, "AWS::Lambda::Permission"):
        if not {"SourceAccount", "SourceArn"} & set(it["Properties"]):
            yield f"{name}: it lets {it['Properties'].get('Principal')} act for any account"


def resources_are_named(template):
    for name, it in each(template, "AWS::IAM::Role", "AWS::IAM::ManagedPolicy"):
        documents = [p["PolicyDocument"] for p in it["Properties"].get("Policies", [])] + [it["Properties"].get("PolicyDocument", {"Statement": []})]
        for statement in [s for d in documents for s in listed(d["Statement"])]:
            if statement["Effect"] != "Allow":
                continue
            actions = set(listed(statement["Action"]))
            for action in sorted(a for a in actions if "*" in a):
                yield f"{name}: {statement.get('Sid')} allows {action}, which nobody can list"
            if "*" in listed(statement["Resource"]) and not actions <= ANY_RESOURCE:
                yield f"{name}: {statement.get('Sid')} allows {', '.join(sorted(actions - ANY_RESOURCE))} on everything"


def logs_end(template):
    for name, it in each(template, "AWS::Logs::LogGroup"):
        if "RetentionInDays" not in it["Properties"]:
            yield f"{name}: logs are kept for ever"
    for name, it in each(template, "AWS::Lambda::Function"):
        group = it["Properties"].get("LoggingConfig", {}).get("LogGroup", {})
        if template["Resources"].get(group.get("Ref"), {}).get("Type") != "AWS::Logs::LogGroup":
            yield f"{name}: it writes to a log group that the template does not have"


def trouble_is_alarmed(template):
    watched = {}
    for name, it in each(template, "AWS::CloudWatch::Alarm"):
        properties = it["Properties"]
        if not properties.get("AlarmActions"):
            yield f"{name}: it tells nobody"
        for dimension in properties.get("Dimensions", []):
            watched[(properties["MetricName"], json.dumps(dimension["Value"], sort_keys=True))] = properties
    dead = set()
    for _, it in each(template, "AWS::SQS::Queue"):
        target = it["Properties"].get("RedrivePolicy", {}).get("deadLetterTargetArn", {}).get("Fn::GetAtt")
        dead |= {target[0]} if target else set()
    text = json.dumps(template["Resources"])
    for name, _ in each(template, "AWS::SQS::Queue"):
        is_dead = name in dead or re.search(r'"(DeadLetterConfig|OnFailure|RedrivePolicy)": \{[^}]*"' + name + '"', text)
        if is_dead and ("ApproximateNumberOfMessagesVisible", json.dumps({"Fn::GetAtt": [name, "QueueName"]})) not in watched:
            yield f"{name}: nobody hears of what ends there"
    for name, _ in each(template, "AWS::Lambda::Function"):
        if ("Errors", json.dumps({"Ref": name})) not in watched:
            yield f"{name}: nobody hears of its errors"
    for _, it in each(template, "AWS::Lambda::EventSourceMapping"):
        source, function = it["Properties"]["EventSourceArn"]["Fn::GetAtt"], it["Properties"]["FunctionName"]["Ref"]
        if source[1] == "StreamArn" and ("IteratorAge", json.dumps({"Ref": re.sub("Alias.*", "", function)})) not in watched:
            yield f"{function}: nobody hears when the stream falls behind"
    sweep = watched.get(("Invocations", json.dumps({"Ref": "SweepFunction"})))
    if sweep is None or sweep.get("TreatMissingData") != "breaching":
        yield "SweepFunction: nobody hears when it is not run"


def dashboard_shows_every_alarm(template):
    resolver = Resolver(template)
    for name, it in resolver.resources("AWS::CloudWatch::Dashboard").items():
        try:
            body = json.loads(it["DashboardBody"])
        except ValueError as error:
            yield f"{name}: its body is no JSON: {error}"
            continue
        shown = {arn for widget in body["widgets"] for arn in widget["properties"].get("alarms", [])}
        for alarm, _ in each(template, "AWS::CloudWatch::Alarm"):
            if resolver.arn(alarm) not in shown:
                yield f"{alarm}: {name} does not show it"


def state_is_kept(template):
    for name, it in each(template, *KEPT):
        if not str(it.get("DeletionPolicy", "")).startswith("Retain") or it.get("UpdateReplacePolicy") != "Retain":
            yield f"{name}: it is deleted with the stack or when it is replaced"


def emulator_is_enough(template):
    for name, it in template["Resources"].items():
        if NOT_EMULATED.match(it["Type"]) and "Condition" not in it and not it["Type"].startswith("AWS::CodeDeploy"):
            yield f"{name}: no emulator has {it['Type']}; put it behind a condition that does not hold by default"


def parameters_are_explained(template):
    for name, it in template.get("Parameters", {}).items():
        if len(it.get("Description", "")) < 20:
            yield f"{name}: it has no description"
        if "Default" not in it:
            yield f"{name}: it has no default"
        bounds = {"AllowedPattern", "AllowedValues", "MinValue", "MaxValue"}
        if it["Type"] != "CommaDelimitedList" and not bounds & set(it):
            yield f"{name}: any value is taken"
    grouped = [it for group in template["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"] for it in group["Parameters"]]
    for name in sorted(set(grouped) ^ set(template.get("Parameters", {}))):
        yield f"{name}: it is in a group of parameters or a parameter, and not both"


def pipeline_is_the_definition(template, root=ROOT):
    definition = json.loads((root / "infra/pipelines/retrain.json").read_text())
    digest = hashlib.sha256(json.dumps(definition, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
    found = each(template, "AWS::SageMaker::Pipeline")
    if len(found) != 1:
        yield "there is not one pipeline"
    for name, it in found:
        properties = it["Properties"]
        if json.loads(properties["PipelineDefinition"]["PipelineDefinitionBody"]) != definition:
            yield f"{name}: it is not infra/pipelines/retrain.json; run tools/template/pipeline.py"
        elif digest not in json.dumps(properties["PipelineDescription"]) or digest[:12] not in properties["PipelineDisplayName"]:
            yield f"{name}: its version is not that of infra/pipelines/retrain.json; run tools/template/pipeline.py"


def limits_hold(template):
    size = len(json.dumps(template))
    if 1_000_000 < size:
        yield f"the template has {size} bytes; CloudFormation takes 1,000,000"
    if 500 < len(template["Resources"]):
        yield f"the template has {len(template['Resources'])} resources; CloudFormation takes 500"


def targets(template, event, **parameters):
    """The functions that get an event by the rules of the template."""
    resolver = Resolver(template, **parameters)
    queues = {}
    for _, it in resolver.resources("AWS::Lambda::EventSourceMapping").items():
        queues[it["EventSourceArn"]] = it["FunctionName"]
    found = set()
    own_bus = next(iter(resolver.resources("AWS::Events::EventBus").values()))["Name"]
    for _, rule in resolver.resources("AWS::Events::Rule").items():
        # The one fact that says which bus an event is on.
        bus = own_bus if event.get("source") == "refit" else "default"
        if "EventPattern" not in rule:
            is_hit = event.get("source") == "aws.events" and event.get("detail-type") == "Scheduled Event"
        else:
            is_hit = matches(rule["EventPattern"], event)
        if is_hit and rule.get("EventBusName", "default") == bus and rule.get("State", "ENABLED") == "ENABLED":
            for target in rule["Targets"]:
                arn = queues.get(target["Arn"], target["Arn"])
                match = re.match(r"^arn:aws:lambda:[^:]*:[^:]*:function:refit-([a-z-]+):live$", arn)
                found |= {match[1]} if match else set()
    return sorted(found)


def events_go_where_the_local_world_sends_them(template, root=ROOT):
    routes = json.loads((root / "events/routes.json").read_text())
    samples = {}
    for name in routes["samples"]:
        event = json.loads((root / f"events/{name}.json").read_text())
        samples[name] = (event, routes["samples"][name])
    for name, wanted in routes["facts"].items():
        detail = {"model": "flight-time"}
        kind, _, function = name.partition(": ")
        if function:
            detail["function"] = function
        samples[name] = ({"source": "refit", "detail-type": kind, "account": ACCOUNT, "detail": detail}, wanted)
    for name, (event, wanted) in samples.items():
        found = targets(template, event, DataBucketName="refit-demo")
        if found != sorted(wanted):
            yield f"{name}: the rules send it to {found or 'nobody'}, the local world to {wanted or 'nobody'}"


def every(template, source):
    """Everything that is wrong, by rule."""
    simple = [
        routes_are_authorized,
        targets_have_dead_letters_and_retries,
        pass_role_is_conditioned,
        roles_allow_what_is_called,
        variables_are_read,
        state_changes_in_transactions_only,
        services_act_for_this_account_only,
        resources_are_named,
        logs_end,
        trouble_is_alarmed,
        dashboard_shows_every_alarm,
        state_is_kept,
        emulator_is_enough,
        parameters_are_explained,
        pipeline_is_the_definition,
        limits_hold,
        events_go_where_the_local_world_sends_them,
    ]
    found = {rule.__name__: list(rule(template)) for rule in simple}
    found["names_are_one"] = list(names_are_one(template, source))
    return found
