"""Plays months through the emulated cloud, and compares what was decided with the local world. `tools/cloud/play` builds and starts it; docs/cloud.md explains it."""

import argparse
import datetime
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import boto3
import events
from compare import NOT_COMPARED, count, differences, named
from receive import Listener
from rest import Cloud as Deployed
from rest import get

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(os.environ["REFIT_CLOUD_FOLDER"]).resolve()
STACK = os.environ["REFIT_CLOUD_STACK"]
EMULATOR = f"http://127.0.0.1:{os.environ['REFIT_CLOUD_PORT']}"
SAGEMAKER_PORT = int(os.environ.get("REFIT_SAGEMAKER_PORT", "5666"))
SAGEMAKER = f"http://127.0.0.1:{SAGEMAKER_PORT}"
os.environ["AWS_ENDPOINT_URL_SAGEMAKER"] = SAGEMAKER
PROGRAMS = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve() / "debug"
REFIT = PROGRAMS / "refit"
MODEL, BUCKET = "flight-time", "refit-demo"
ROLE = "arn:aws:iam::000000000000:role/refit-pipeline"


def say(text):
    print(text, flush=True)


def run(*words, **named):
    return subprocess.run([str(it) for it in words], check=True, cwd=ROOT, **named)


class Phases:
    """Says what is done, and how long each part took."""

    def __init__(self):
        self.done = []

    def __call__(self, name):
        self.name = name
        return self

    def __enter__(self):
        self.begun = time.monotonic()
        say(f"== {self.name}")

    def __exit__(self, *_):
        self.done.append((self.name, time.monotonic() - self.begun))


class Cloud:
    """The processes, and what is deployed."""

    def __init__(self):
        self.sagemaker = self.listener = None
        self.outputs = {}

    def start(self, begin):
        log = (FOLDER / "sagemaker.log").open("w")
        (FOLDER / "behavior.json").write_text(json.dumps({"execution_takes": "12m"}))
        words = [REFIT, "sagemaker", "serve", "--port", SAGEMAKER_PORT, "--s3", "--clock", begin, "--state", FOLDER / "sagemaker",
                 "--events-to", f"{EMULATOR}/_refit/events", "--behavior", FOLDER / "behavior.json"]
        self.sagemaker = subprocess.Popen([str(it) for it in words], stdout=log, stderr=log, cwd=ROOT, start_new_session=True)
        for _ in range(200):
            try:
                get(f"{SAGEMAKER}/clock")
                break
            except OSError:
                if self.sagemaker.poll() is not None:
                    raise SystemExit(f"error: SageMaker did not start; its log is {FOLDER / 'sagemaker.log'}")
                time.sleep(0.05)
        run("tools/cloud/emulator", "start")
        self.listener = Listener()

    def stop(self):
        if self.listener:
            self.listener.stop()
        if self.sagemaker and self.sagemaker.poll() is None:
            self.sagemaker.terminate()
            try:
                self.sagemaker.wait(10)
            except subprocess.TimeoutExpired:
                self.sagemaker.kill()
        subprocess.run(["tools/cloud/emulator", "stop"], cwd=ROOT, check=False)

    def deploy(self):
        s3 = boto3.client("s3")
        s3.create_bucket(Bucket=BUCKET)
        s3.put_bucket_notification_configuration(Bucket=BUCKET, NotificationConfiguration={"EventBridgeConfiguration": {}})
        run("tools/cloud/deploy", "--programs", PROGRAMS, "SweepState=DISABLED", "DeletionProtection=false", "DataBatchSeconds=1", "CustomEventSources=airline.schedule",
            f"DataBucketName={BUCKET}", f"ClockUrl={SAGEMAKER}/clock")
        self.outputs = json.loads((FOLDER / "outputs.json").read_text())
        sagemaker = boto3.client("sagemaker")
        definition = (FOLDER / "input/retrain.json").read_text()
        sagemaker.create_pipeline(PipelineName=f"{MODEL}-retrain", PipelineDefinition=definition, RoleArn=ROLE, ClientRequestToken="x" * 32)
        sagemaker.create_model_package_group(ModelPackageGroupName=MODEL)

    def introduce(self):
        """People with keys of their own, named like those of `refit replay`, and listeners of the alert topic."""
        iam, people = boto3.client("iam"), {}
        for name, does, policy in [("replay", "asks", "AdminPolicyArn"), ("maria", "approves", "ApproverPolicyArn")]:
            iam.create_user(UserName=name)
            iam.attach_user_policy(UserName=name, PolicyArn=self.outputs[policy])
            key = iam.create_access_key(UserName=name)["AccessKey"]
            people[does] = {"id": key["AccessKeyId"], "secret": key["SecretAccessKey"]}
        (FOLDER / "people.json").write_text(json.dumps(people))
        sns, sqs, topic = boto3.client("sns"), boto3.client("sqs"), self.outputs["AlertTopicArn"]
        self.heard = sqs.create_queue(QueueName="heard")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=self.heard, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
        sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=self.listener.url)
        if not self.listener.confirmed.wait(10):
            raise SystemExit("error: the topic did not ask the listener to confirm its subscription")

    def api(self):
        host = self.outputs["ApiUrl"].split("//")[1].split(".")[0]
        return f"{EMULATOR}/_aws/execute-api/{host}/$default"


def listened(queue):
    """The messages of a queue, without repetitions by their id."""
    sqs, messages = boto3.client("sqs"), {}
    while batch := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages"):
        for it in batch:
            body = json.loads(it["Body"])
            messages[body["MessageId"]] = body
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=it["ReceiptHandle"])
    return list(messages.values())


def prepare(arguments):
    shutil.rmtree(FOLDER / "sagemaker", ignore_errors=True)
    shutil.rmtree(FOLDER / "replay", ignore_errors=True)
    for name in ["invocations.jsonl", "cloud.json", "replay.json"]:
        (FOLDER / name).unlink(missing_ok=True)
    (FOLDER / "input").mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / "crates/cli/demo/refit.yaml", FOLDER / "input")
    shutil.copy(ROOT / "infra/pipelines/retrain.json", FOLDER / "input")
    run(REFIT, "cloud", "cut", "--data", "crates/cli/demo/flights.parquet", "--from", f"{arguments.begin}T00:00:00Z", "--until",
        f"{arguments.until}T00:00:00Z", "--to", FOLDER / "input/flights.parquet")


def common(arguments):
    return ["--config", FOLDER / "input/refit.yaml", "--data", FOLDER / "input/flights.parquet", "--warmup", arguments.warmup]


def replay(arguments):
    """The same in the local world."""
    with (FOLDER / "replay.json").open("w") as file:
        run(REFIT, "replay", *common(arguments), "--approve-as", "maria", "--state", FOLDER / "replay", "--output-format", "json", stdout=file)


def compare():
    cloud, local = (json.loads((FOLDER / f"{it}.json").read_text()) for it in ("cloud", "replay"))
    found = list(differences(cloud, local))
    for path, there, here in found[:40]:
        say(f"  {path}: cloud {json.dumps(there)[:300]}, local world {json.dumps(here)[:300]}")
    say(f"not compared: {', '.join(NOT_COMPARED)}")
    if found:
        raise SystemExit(f"error: the cloud and the local world differ in {len(found)} of {count(local)} values")
    say(f"the same in both worlds: {len(local['runs'])} runs, {len(local['promotions'])} promotions, {len(local['rejections'])} rejections, {count(local)} values in all")


def heard(cloud):
    """What the listeners of the alert topic heard, against what the local world told its people: the same, and each once."""
    queue = [told(it) for it in listened(cloud.heard)]
    posted = [told(it) for it in cloud.listener.messages]
    lines = (FOLDER / "replay/alerts.jsonl").read_text().splitlines()
    local = [json.loads(it)["alert"] for it in lines]
    text = "{subject}\n\n{body}\n\nModel: {model}\nTime: {time}\nAlert: {dedupe_id}\n"
    local = sorted((it["dedupe_id"], it["kind"], it["subject"], text.format(**it)) for it in local)
    (FOLDER / "alerts.json").write_text(json.dumps(queue, indent=1) + "\n")
    for where, messages in (("queue", queue), ("HTTP endpoint", posted)):
        messages = sorted((it["id"], it["kind"], it["subject"], it["body"]) for it in messages)
        if messages != local:
            raise SystemExit(f"error: the {where} heard {messages}, the local world told {local}")
    say(f"alerts: {len(local)} in the subscribed queue, at the HTTP endpoint and in the local world: {', '.join(sorted({it[1] for it in local}))}")


def told(message):
    attributes = {name: it["Value"] for name, it in message["MessageAttributes"].items()}
    return {"id": attributes["alert_id"], "kind": attributes["kind"], "subject": named(message["Subject"]), "body": named(message["Message"])}


def summarize(cases):
    """What happened, for people."""
    decided = json.loads((FOLDER / "cloud.json").read_text())
    invocations = [json.loads(it) for it in (FOLDER / "invocations.jsonl").read_text().splitlines()]
    say("\n== what happened")
    for run in decided["runs"]:
        metrics = ", ".join(f"{name} {it['candidate']:.3f}" + (f" against {it['champion']:.3f}" if it["champion"] else "") for name, it in run["metrics"].items())
        say(f"  {run['requested_at'][:10]}  {run['id']}  {', '.join(run['causes'])}: {run['status']}, {metrics}")
    by = {}
    for it in invocations:
        by.setdefault(it["function"], []).append(it["seconds"])
    say("  invocations: " + ", ".join(f"{name.removeprefix(STACK + '-')} {len(it)}" for name, it in sorted(by.items())))
    days = (date(decided["data"]["end"]) - date(decided["data"]["warmup_end"])).days
    say(f"  {days} days, {decided['audit']['entries']} entries in the audit log, which holds; {len(invocations)} invocations, {cases} cases of bad events")
    say(f"  the same decisions as in the local world; {FOLDER.relative_to(ROOT) if FOLDER.is_relative_to(ROOT) else FOLDER} has everything that was written")


def date(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


def bad_events(cloud):
    """Duplicate, reordered, late, foreign and malformed events."""
    deployed = Deployed(EMULATOR, SAGEMAKER, STACK, cloud.outputs, MODEL, FOLDER / "invocations.jsonl")
    cases = events.play(deployed, REFIT, FOLDER, cloud.api(), BUCKET, dict(os.environ), say)
    if cases.wrong:
        raise SystemExit("error: " + "\n       ".join(cases.wrong))
    say(f"{cases.played} cases of events: each had the effect of one or none")
    return cases.played


def play(arguments, cloud, phases):
    with phases("the local world"):
        prepare(arguments)
        replay(arguments)
    with phases("start"):
        cloud.start(f"{arguments.begin}T00:00:00Z")
    with phases("deploy"):
        cloud.deploy()
        cloud.introduce()
    with phases("play"):
        run(REFIT, "cloud", "play", *common(arguments), "--emulator", EMULATOR, "--sagemaker", SAGEMAKER, "--api", cloud.api(),
            "--sweep", f"{STACK}-sweep", "--outputs", FOLDER / "outputs.json", "--people", FOLDER / "people.json", "--to", FOLDER / "cloud.json")
    with phases("compare"):
        compare()
        heard(cloud)
    cases = 0
    if not arguments.no_events:
        with phases("events"):
            cases = bad_events(cloud)
    summarize(cases)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--from", dest="begin", default="2013-07-01", help="first day of the data")
    parser.add_argument("--until", default="2013-10-15", help="day after the last one")
    parser.add_argument("--warmup", default="31d", help="how long rows only train the first champion")
    parser.add_argument("--year", action="store_true", help="the whole year")
    parser.add_argument("--no-events", action="store_true", help="leave out the phase of bad events")
    parser.add_argument("--no-build", action="store_true", help="use what is built")
    arguments = parser.parse_args()
    if arguments.year:
        arguments.begin, arguments.until = "2013-01-01", "2014-01-01"

    def told_to_end(*_):
        raise SystemExit("error: told to end")

    signal.signal(signal.SIGTERM, told_to_end)
    cloud, phases, begun = Cloud(), Phases(), time.monotonic()
    try:
        play(arguments, cloud, phases)
    except subprocess.CalledProcessError as error:
        say(f"error: `{' '.join(error.cmd[:3])} …` failed; logs are in {FOLDER}")
        raise SystemExit(1)
    finally:
        cloud.stop()
        for name, seconds in phases.done:
            say(f"phase {name}: {seconds:.0f} s")
        say(f"all phases: {time.monotonic() - begun:.0f} s")


if __name__ == "__main__":
    sys.exit(main())
