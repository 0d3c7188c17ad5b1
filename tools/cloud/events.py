"""Duplicate, reordered, late, foreign and malformed events through the deployed functions: each has the effect of one, or none, and none makes a storm.

The numbers of the cases are those of the list of hostile inputs that docs/cloud.md names. Each case says which facts it may add to the audit log, how many
invocations it may cost, and how many dead letters; anything else is an error.
"""

import copy
import datetime
import json
import subprocess
from pathlib import Path

from rest import stamp

ROOT = Path(__file__).resolve().parents[2]
# What the policy of the demo listens to in addition.
TRIGGERS = """      alarms: [{ arn: "arn:aws:cloudwatch:us-east-1:000000000000:alarm:flight-time-latency", reason: slow answers }]
      events: [{ source: airline.schedule, detail_type: Season Changed, reason: a new schedule }]
"""
STARTED = ["run_queued", "run_starting", "run_training"]


def sample(name):
    return json.loads((ROOT / f"events/{name}.json").read_text())


def changed(event, **details):
    """A copy with other members of its detail; a dot in a name is written as two underscores."""
    event = copy.deepcopy(event)
    event["detail"] |= {name: value for name, value in details.items()}
    return event


class Cases:
    """Plays cases and keeps what each did."""

    def __init__(self, cloud, refit, say):
        self.cloud, self.refit, self.say = cloud, refit, say
        self.played, self.wrong = 0, []

    def check(self, name, deliver, facts=(), most=0, dead=None, windows=None):
        """Delivers, lets everything rest, and compares: facts added, invocations at most, dead letters added, whether the taken-in files may change."""
        cloud = self.cloud
        cloud.rest()
        seen, since, letters = len(cloud.facts()), cloud.invocation_count(), cloud.dead()
        before = cloud.windows()
        deliver()
        cloud.rest()
        new = [it["event"]["fact"]["kind"] for it in cloud.facts()[seen:]]
        # The stream wakes the publisher as often as it likes.
        invoked = [it for it in cloud.invoked(since) if not is_stream(it)]
        now = cloud.dead()
        buried = {it: now[it] - letters[it] for it in now if now[it] != letters[it]}
        problems = []
        if sorted(new) != sorted(facts):
            problems.append(f"recorded {new}, not {list(facts)}")
        if most < len(invoked):
            problems.append(f"{len(invoked)} invocations, at most {most} are due")
        if buried != (dead or {}):
            problems.append(f"dead letters {buried}, not {dead or {}}")
        failed = [it for it in invoked if it["error"]]
        if failed and not dead:
            problems.append(f"{failed[0]['function']} failed: {failed[0]['answer']}")
        added = cloud.windows()
        if windows is not None and len(added) - len(before) != windows or windows == 0 and added != before:
            problems.append(f"{len(added) - len(before)} items of taken-in files were added, not {windows}")
        self.played += 1
        self.wrong += [f"{name}: {it}" for it in problems]
        mark = "wrong" if problems else "ok"
        self.say(f"  {mark:5} {name}: {len(invoked)} invocations, facts {', '.join(new) or 'none'}, dead letters {sum(buried.values())}")
        for it in problems:
            self.say(f"        {it}")

    def ask(self, person, *words):
        env = {**self.env, "AWS_ACCESS_KEY_ID": person["id"], "AWS_SECRET_ACCESS_KEY": person["secret"]}
        done = subprocess.run([str(self.refit), *words, "--api-url", self.api, "--output-format", "json"], env=env, capture_output=True, text=True, check=False)
        if done.returncode == 2:
            raise SystemExit(f"error: refit {' '.join(words)}: {done.stderr.strip()}")
        return done


def is_stream(invocation):
    records = invocation["event"].get("Records") if isinstance(invocation["event"], dict) else None
    return bool(records) and isinstance(records, list) and isinstance(records[0], dict) and "dynamodb" in records[0]


def times(count, deliver, *events):
    """Delivers each event so often, in turns."""

    def all_of_them():
        for _ in range(count):
            for event in events:
                deliver(event)

    return all_of_them


def direct(cloud, function, kind="RequestResponse"):
    return lambda event: cloud.invoke(function, event, kind)


def listen_to_alarms(cases, folder, people):
    text = (folder / "input/refit.yaml").read_text()
    assert "    triggers:\n" in text
    (folder / "input/events.yaml").write_text(text.replace("    triggers:\n", "    triggers:\n" + TRIGGERS))
    cases.ask(people["asks"], "apply", str(folder / "input/events.yaml"))


def alarms(cases):
    cloud, name = cases.cloud, "check-triggers/"
    silent = [sample(name + it) for it in ("alarm-ok", "alarm-insufficient-data", "alarm-configuration-change", "alarm-unmapped")]
    odd = changed(sample(name + "alarm-unmapped"), state={"value": "ALARM", "reason": "r", "reasonData": "{not JSON", "timestamp": "yesterday"})
    cases.check("68 alarms that did not go off, were edited, or are nobody's, by the bus, twice each", times(2, cloud.put, *silent, odd), most=4)
    cases.check("68 the same at the function itself", times(1, direct(cloud, "check-triggers"), *silent, odd), most=5)
    alarm, topic = sample(name + "alarm-by-event-bus"), sample(name + "alarm-by-topic")
    message = topic["Records"][0]["Sns"]["Message"]

    def by_every_way():
        for _ in range(3):
            cloud.put(alarm)
            cloud.sns.publish(TopicArn=cloud.outputs["AlarmTopicArn"], Subject="ALARM", Message=message)
            cloud.invoke("check-triggers", sample(name + "alarm-by-lambda-action"))
            cloud.invoke("check-triggers", sample(name + "alarm-by-topic-and-queue"))

    # The run's own facts wake start-retraining, one invocation each.
    cases.check("68, 69 one alarm by four ways, three times each", by_every_way, ["signal_received", "run_requested", *STARTED], most=12 + 6)


def executions(cases):
    """A run trains; its execution is told of in every wrong way, then in the right one, too often."""
    cloud, handler = cases.cloud, direct(cases.cloud, "evaluate-candidate")
    [arn] = cloud.status()["open"]
    run = [it["event"]["fact"]["run"] for it in cloud.facts() if it["event"]["fact"]["kind"] == "run_training"][-1]
    event = changed(sample("evaluate-candidate/succeeded"), pipelineExecutionArn=arn, pipelineArn=arn.split("/execution/")[0], pipelineExecutionDisplayName=run + "-0123abcd")
    event["resources"] = [event["detail"]["pipelineArn"], arn]
    cases.check("64 Succeeded while it still trains, three times", times(3, cloud.put, event), most=3)
    status = lambda it: changed(event, currentPipelineExecutionStatus=it)
    lost = copy.deepcopy(event)
    del lost["detail"]["previousPipelineExecutionStatus"]
    cases.check("65 unknown status, wrong case, no status before", times(2, cloud.put, status("Paused"), status("SUCCEEDED"), status(7), lost), most=8)
    bare = {**event, "detail": None}
    cases.check("65 no detail, a text, a list for it", times(1, handler, bare, {**event, "detail": json.dumps(event["detail"])}, {**event, "detail": [1]}), most=3)
    foreign = lambda it: changed(event, pipelineExecutionArn=it)
    arns = [arn.replace("000000000000", "111111111111"), arn.replace("us-east-1", "eu-west-1"), arn.replace("arn:aws:", "arn:aws-cn:"),
            arn.replace("-retrain/", "-other/"), arn + "\n", arn[:40] + "x" * 4096, arn.upper(), "", "arn:"]
    cases.check("66 executions of others, ARNs that are none", times(1, cloud.put, *map(foreign, arns)), most=len(arns))
    at = ["1970-01-01T00:00:00Z", "2262-04-11T23:47:16.854775807Z", "2013-10-17T05:06:07.123456+14:00", 1772416800123, "", None]
    cases.check("67 any time on the envelope", times(1, handler, *({**event, "time": it} for it in at)), most=len(at))

    next_time = datetime.datetime.fromisoformat(cloud.status()["next"].replace("Z", "+00:00"))
    late = status("Executing")
    seen = len(cloud.facts())
    cloud.move(next_time)
    cloud.sweep()
    done = [it["event"]["fact"]["kind"] for it in cloud.facts()[seen:]]
    judged = [it for it in done if it in ("run_trained", "candidate_evaluated")]
    cases.say(f"  it is over, and the run is judged: {', '.join(done)}")
    if sorted(judged) != ["candidate_evaluated", "run_trained"]:
        cases.wrong.append(f"the run was judged by {judged}")
    other = lambda number: {**event, "id": f"00000000-0000-0000-0000-{number:012}"}
    cases.check("63 Succeeded again, with other ids, and 64 Executing late", times(1, cloud.put, *map(other, range(3)), late, status("Failed")), most=5)
    return run


def facts_again(cases, run):
    """Refit's own events, delivered again, from others, and in circles."""
    cloud = cases.cloud
    told = {it["event"]["fact"]["kind"]: it for it in cloud.facts() if it["event"]["fact"].get("run") == run}
    detail = {"schemaVersion": 1, "model": cloud.model, "runId": run, "fact": told["run_requested"]["event"]["fact"]}

    def again():
        for _ in range(3):
            for it in ("Retraining Succeeded", "Retraining Requested", "Retraining Starting", "Promotion Announced", "Approval Approved"):
                cloud.fact(it, detail)

    cases.check("63 facts of a run that has ended, in the wrong order, three times", again, most=18)
    cases.check("66 facts from another source", lambda: [cloud.fact("Retraining Requested", detail, source="evil") for _ in range(3)], most=0)
    wake = lambda function, **more: cloud.fact("Wake Up", {"schemaVersion": 1, "model": cloud.model, "function": function, **more})
    functions = ("check-triggers", "start-retraining", "evaluate-candidate", "promote-model", "publish-events")
    cases.check("63 wake-ups with nothing to do, three each", lambda: [wake(it) for _ in range(3) for it in functions], most=15)
    cases.check("wake-ups that went round too often", lambda: [wake(it, hop=8) for it in functions], most=5)
    cases.check("wake-ups of models and functions that nobody knows", lambda: [wake("nobody"), cloud.fact("Wake Up", {"function": "check-triggers", "model": "../x"}),
                cloud.fact("Wake Up", {"function": "check-triggers", "model": "another"}), cloud.fact("Wake Up", {"function": "check-triggers"})], most=3)


def requests_again(cases, people):
    cloud = cases.cloud
    suspend, resume = sample("check-triggers/suspend"), sample("check-triggers/resume")
    cases.check("63 a person's request, three times: suspend", times(3, direct(cloud, "check-triggers"), suspend), ["model_suspended"], most=3)
    by_api = lambda: [cases.ask(people["asks"], "suspend", cloud.model, "--reason", "again", "--request-id", "s-2") for _ in range(3)]
    cases.check("63 another one by the API, which changes nothing", by_api, most=3)
    cases.check("63 resume", times(3, direct(cloud, "check-triggers"), resume), ["model_resumed", "triggers_checked"], most=4)
    cases.check("63 suspend again, late", times(2, direct(cloud, "check-triggers"), suspend), most=2)
    cases.check("63 roll back, three times", times(3, direct(cloud, "promote-model"), sample("promote-model/rollback")), ["rollback_started", "model_rolled_back"], most=6)
    cases.check("63 votes on runs that are over", times(2, direct(cloud, "promote-model"), sample("promote-model/approve"), sample("promote-model/decline")), most=4)


def files(cases, bucket):
    cloud = cases.cloud
    page = cloud.s3.list_objects_v2(Bucket=bucket, Prefix="capture/")["Contents"]
    known = [it for it in page if it["Size"]][-1]
    event = sample("record-window/capture-object-created")
    event["detail"]["object"] = {"key": known["Key"], "size": known["Size"], "etag": known["ETag"].strip('"')}
    cases.check("71 a file that was taken in, three times", times(3, cloud.put, event), most=3, windows=0)
    notification = sample("record-window/s3-notification")
    notification["Records"][0]["s3"]["object"] |= {"key": known["Key"].replace("/", "%2F"), "size": known["Size"]}
    cases.check("69, 71 the same as S3's own notification, as SNS wraps it, and by the queue", lambda: [cloud.send(notification), cloud.send({"Type": "Notification", "Message": json.dumps(notification)}), cloud.send(event)], most=3, windows=0)
    keys = ["capture/a+b.jsonl", "capture/..%2f..%2fx", "capture/%2e%2e/x", "capture/überall/日本.jsonl", "capture/%00", "other/x", "capture/" + "k" * 1024, "", "capture/gone.jsonl"]

    def odd(key):
        it = copy.deepcopy(notification)
        it["Records"][0]["s3"]["object"] |= {"key": key, "versionId": "null"}
        return it

    cases.check("71 keys with +, %2F, .., and objects that are gone", times(1, cloud.send, *map(odd, keys)), most=len(keys), windows=0)
    other = copy.deepcopy(notification)
    other["Records"][0]["s3"]["bucket"]["name"] = "somebody-elses"
    bodies = ["", " ", "not JSON", "[]", "null", "7", '"text"', "{", json.dumps({"Records": []}), json.dumps(sample("record-window/test-event")), "[" * 500, other]
    cases.check("69 messages that are none", lambda: [cloud.send(it) for it in bodies if it != ""], most=len(bodies), windows=0)
    return event, known


def shapes(cases):
    """Events of no meaning to whom they reach."""
    cloud = cases.cloud
    functions = ("check-triggers", "start-retraining", "evaluate-candidate", "promote-model", "record-window", "publish-events")
    none = ["{}", "[]", "null", "7", '"ping"', '{"source": "serverless-plugin-warmup"}', '{"Records": []}', '{"Records": [{"eventSource": "aws:sqs"}]}',
            json.dumps({"Records": [{"EventSource": "aws:sns", "Sns": {"Message": "hello"}}]}), json.dumps(sample("check-triggers/console-test"))]
    rest = {"httpMethod": "POST", "path": "/v1/models", "headers": {}, "requestContext": {"stage": "prod"}, "body": None}
    balancer = {**rest, "requestContext": {"elb": {"targetGroupArn": "arn:aws:elasticloadbalancing:us-east-1:1:targetgroup/x"}}}
    for function in functions:
        payloads = [it for it in none if not (function == "record-window" and "aws:sqs" in it)]
        cases.check(f"69 test events, pings, other services' payloads at {function}", times(1, direct(cloud, function), *payloads, rest, balancer), most=12, windows=0)
    cases.check("69 the same at the API", times(1, direct(cloud, "api"), "{}", "null", rest, balancer), most=4)
    late = sample("sweep/scheduled")
    late["time"] = stamp(cloud.now() - datetime.timedelta(days=3))
    bare = sample("sweep/by-scheduler")
    cases.check("70 a schedule that is late, comes twice, or says no time", times(2, direct(cloud, "sweep"), late, bare, {}), most=8)


def redriven(cloud, queue):
    """The message of a queue of dead letters, taken out of it."""
    [message] = cloud.sqs.receive_message(QueueUrl=cloud.queues[queue], MaxNumberOfMessages=1)["Messages"]
    cloud.sqs.delete_message(QueueUrl=cloud.queues[queue], ReceiptHandle=message["ReceiptHandle"])
    return json.loads(message["Body"])


class Damaged:
    """An item of the table that is torn for a while."""

    def __init__(self, cloud, partition, sort):
        self.table, self.key = cloud.table, {"pk": partition, "sk": sort}

    def __enter__(self):
        self.whole = self.table.get_item(Key=self.key, ConsistentRead=True)["Item"]
        self.table.put_item(Item={**self.whole, "body": '{"schema": 1, "torn'})

    def __exit__(self, *_):
        self.table.put_item(Item=self.whole)


def dead_letters(cases, event):
    """What deserves a dead letter gets one, and is handled after the repair."""
    cloud, queue = cases.cloud, cases.cloud.queues["DataQueue"]
    letter = {"kind": "suspend", "id": "torn-1", "model": cloud.model, "actor": "ana", "reason": "r"}
    wake = {"schemaVersion": 1, "model": cloud.model, "function": "promote-model"}
    with Damaged(cloud, f"MODEL#{cloud.model}", "HEAD"):
        cases.check("a request about a model whose state is damaged: three attempts, one dead letter", lambda: cloud.invoke("check-triggers", letter, "Event"), most=3, dead={"FailedInvocations": 1})
        cases.check("a wake-up of it by the bus: the same", lambda: cloud.fact("Wake Up", wake), most=3, dead={"FailedInvocations": 1})
    again = [redriven(cloud, "FailedInvocations")["requestPayload"] for _ in range(2)]
    cases.check("repaired, the request counts, once", times(2, direct(cloud, "check-triggers"), next(it for it in again if it.get("kind"))), ["model_suspended"], most=2)
    # A file waits half an hour between attempts; here a second.
    cloud.sqs.set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": "1"})
    with Damaged(cloud, "FLEET", "POLICY"):
        cases.check("a file while the policy is damaged: five attempts, one dead letter", lambda: cloud.send(event), most=5, dead={"DataDeadLetters": 1}, windows=0)
    cases.check("repaired, its dead letter is handled", lambda: cloud.send(redriven(cloud, "DataDeadLetters")), most=1, dead={"DataDeadLetters": -1}, windows=0)


def play(cloud, refit, folder, api, bucket, env, say):
    """Plays all cases; the errors that were found."""
    people = json.loads((folder / "people.json").read_text())
    cases = Cases(cloud, refit, say)
    cases.api, cases.env = api, env
    decided = json.loads((folder / "cloud.json").read_text())
    # After the cooldown of the last run.
    last = datetime.datetime.fromisoformat(decided["promotions"][-1]["at"].replace("Z", "+00:00"))
    cloud.move(max(cloud.now(), last + datetime.timedelta(days=7, hours=1)))
    listen_to_alarms(cases, folder, people)
    cloud.rest()
    cloud.sweep()
    alarms(cases)
    run = executions(cases)
    facts_again(cases, run)
    event, _ = files(cases, bucket)
    shapes(cases)
    requests_again(cases, people)
    dead_letters(cases, event)
    cloud.sweep()
    verified = cases.ask(people["asks"], "audit", "verify", cloud.model)
    if verified.returncode != 0:
        cases.wrong.append(f"the audit log does not hold: {verified.stdout} {verified.stderr}")
    return cases
