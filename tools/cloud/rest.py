"""Looks at the emulated cloud: its clock, whether it rests, what was recorded, what became of deliveries."""

import datetime
import json
import time
import urllib.request

import boto3

# Between two looks whether everything rests, and how long that may take: training is part of it.
LOOK, PATIENCE = 0.015, 60


def get(url, method="GET", body=None):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    return opener.open(urllib.request.Request(url, method=method, data=body), timeout=30).read()


class Cloud:
    """What is deployed, seen from outside."""

    def __init__(self, emulator, sagemaker, stack, outputs, model, invocations):
        self.emulator, self.sagemaker, self.stack, self.outputs = emulator, sagemaker, stack, outputs
        self.model, self.invocations = model, invocations
        self.table = boto3.resource("dynamodb").Table(outputs["TableName"])
        self.sqs, self.sns, self.functions, self.s3 = (boto3.client(it) for it in ("sqs", "sns", "lambda", "s3"))
        pages = boto3.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=stack)
        resources = {it["LogicalResourceId"]: it["PhysicalResourceId"] for page in pages for it in page["StackResourceSummaries"]}
        names = ["DataQueue", "DataDeadLetters", "UndeliveredEvents", "FailedInvocations", "FailedStreamRecords"]
        self.queues = {it: self.queue(resources[it]) for it in names}

    def queue(self, physical):
        return physical if physical.startswith("http") else self.sqs.get_queue_url(QueueName=physical)["QueueUrl"]

    def activity(self):
        return json.loads(get(f"{self.emulator}/_refit/activity"))

    def status(self):
        return json.loads(get(f"{self.sagemaker}/status"))

    def rest(self):
        """Waits until nothing happens any more before the clock moves."""
        until = time.monotonic() + PATIENCE
        while True:
            before, status, after = self.activity(), self.status(), self.activity()
            if not before["busy"] and status["idle"] and before == after:
                return
            if until < time.monotonic():
                raise SystemExit(f"error: the cloud does not come to rest: SageMaker {status}, emulator {after}")
            time.sleep(LOOK)

    def now(self):
        return datetime.datetime.fromisoformat(self.status()["now"].replace("Z", "+00:00"))

    def move(self, to):
        get(f"{self.sagemaker}/clock", "PUT", json.dumps(stamp(to)).encode())
        self.rest()

    def sweep(self, times=2):
        """Lets happen what is due; twice, because what a sweep wakes may make more due."""
        for _ in range(times):
            self.invoke("sweep", {"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}})
            self.rest()

    def facts(self):
        """What the audit log says, in order."""
        found, more = [], {}
        while True:
            key = boto3.dynamodb.conditions.Key("pk").eq(f"AUDIT#{self.model}")
            page = self.table.query(KeyConditionExpression=key, ConsistentRead=True, **more)
            found += [json.loads(it["body"]) for it in page["Items"]]
            if "LastEvaluatedKey" not in page:
                return found
            more = {"ExclusiveStartKey": page["LastEvaluatedKey"]}

    def windows(self):
        """Everything that was taken in: items of the table's window partitions."""
        items, more = {}, {}
        while True:
            page = self.table.scan(**more)
            items |= {(it["pk"], it["sk"]): it.get("body") for it in page["Items"] if it["pk"].startswith("WIN#")}
            if "LastEvaluatedKey" not in page:
                return items
            more = {"ExclusiveStartKey": page["LastEvaluatedKey"]}

    def invocation_count(self):
        return len(self.invocations.read_text().splitlines()) if self.invocations.exists() else 0

    def invoked(self, since):
        return [json.loads(it) for it in self.invocations.read_text().splitlines()[since:]]

    def dead(self):
        """How many messages are in each queue for what could not be handled."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        count = lambda url: sum(int(it) for it in self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"].values())
        return {name: count(url) for name, url in self.queues.items() if name != "DataQueue"}

    # ---- Deliveries, each as AWS makes it

    def put(self, event):
        """An event of an AWS service on the default bus."""
        get(f"{self.emulator}/_refit/events", "POST", json.dumps(event).encode())

    def fact(self, detail_type, detail, source="refit"):
        entry = {"Source": source, "DetailType": detail_type, "Detail": json.dumps(detail), "EventBusName": self.outputs["EventBusName"]}
        boto3.client("events").put_events(Entries=[entry])

    def invoke(self, function, event, kind="RequestResponse"):
        """Hands an event to a function as a service does that calls it: `Event` is tried again by Lambda when it fails."""
        payload = event if isinstance(event, str) else json.dumps(event)
        return self.functions.invoke(FunctionName=f"{self.stack}-{function}", Qualifier="live", InvocationType=kind, Payload=payload.encode())

    def send(self, body):
        """A message in the queue of files."""
        self.sqs.send_message(QueueUrl=self.queues["DataQueue"], MessageBody=body if isinstance(body, str) else json.dumps(body))


def stamp(time):
    return time.astimezone(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
