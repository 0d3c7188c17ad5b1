"""The emulator, and doors that it does not have.

`POST /_refit/events` takes an event as EventBridge delivers it and puts it on the default bus, whatever its source.

AWS's own sources (`aws.sagemaker`, `aws.cloudwatch`) may not be put by customers, and the emulator has neither SageMaker nor alarms that send events. Refit's
SageMaker endpoint sends its events here (`refit sagemaker serve --events-to`).

`GET /_refit/activity` says what is under way, so that a driver of a virtual clock can wait until everything rests: `{busy, serial}`. `busy` names requests, invocations,
messages that wait in a queue with a function behind it, and records of a stream that no function has seen; `serial` grows with each request and invocation.

Each invocation is a line of `invocations.jsonl` in REFIT_CLOUD_FOLDER, when that is set.

Functions are invoked by the bus, and asynchronously, with the attempts and the failure destination that the template gives their alias.

It calls and replaces functions of the emulator that are not public: the version is pinned.
"""

import asyncio
import json
import os
import threading
import time
from pathlib import Path

import ministack.app as emulator
import ministack.services.dynamodb as dynamodb
import ministack.services.eventbridge as eventbridge
import ministack.services.lambda_svc as functions
import ministack.services.sqs as sqs

EVENTS, ACTIVITY = "/_refit/events", "/_refit/activity"
# Threads that live as long as the emulator does; any other one does something that was asked for.
LASTING = ("MainThread", "asyncio_", "ministack-worker", "_poll_loop", "scheduler", "reaper", "provided-api-", "provided-log-", "process_request_thread")
plain = emulator.app
lock = threading.Lock()
under_way = {}
serial = 0


def count():
    global serial
    with lock:
        serial += 1
        return serial


def noted(execute):
    """The emulator's function that invokes, with a line about each invocation."""
    folder = os.environ.get("REFIT_CLOUD_FOLDER")
    path = Path(folder) / "invocations.jsonl" if folder else None

    def wrapper(function, event, *arguments, **named):
        number, begun = count(), time.time()
        name = (function.get("config") or function).get("FunctionName", "?")
        under_way[number] = f"invocation of {name}"
        try:
            result = execute(function, event, *arguments, **named)
        finally:
            count()
            del under_way[number]
        if path:
            line = {"number": number, "at": begun, "seconds": round(time.time() - begun, 3), "function": name, "event": event}
            line |= {"error": bool(result.get("error")), "answer": result.get("body")}
            with lock, path.open("a") as file:
                file.write(json.dumps(line) + "\n")
        return result

    return wrapper


def with_alias(invoke):
    """The emulator's asynchronous invocation, which knows attempts and failure destinations of `$LATEST` alone: with those of the alias that is invoked."""

    def wrapper(function, event):
        name = function["config"]["FunctionName"]
        configs = functions._functions[name].get("event_invoke_configs") or {}
        invoke({**function, "event_invoke_config": next(iter(configs.values()), None)}, event)

    return wrapper


def dispatch(arn, payload):
    """The bus calls a function as AWS's does: asynchronously, with the attempts and the failure destination of the function. The emulator calls it once."""
    function, config, name = functions._get_func_record_for_ref(arn)
    if function and config:
        functions.invoke_async_with_retry(functions._execution_record_for_config(function, config), json.loads(payload))
    else:
        eventbridge.logger.warning("there is no function %s", name)


def waiting():
    """What functions have not seen yet, by queue and table."""
    for _, _, mapping in functions._iter_all_esms():
        source, name = mapping.get("EventSourceArn", ""), mapping["UUID"]
        if functions._esm_inflight.get(name, 0):
            yield f"batch of {source}"
        if ":sqs:" in source:
            queue = sqs._queue_by_arn(source)
            # Those that failed are out of sight for a while, and come again.
            if queue and queue["messages"]:
                yield f"messages in {source}"
        elif ":dynamodb:" in source:
            table = source.split("/stream/")[0].split("/")[-1]
            seen = functions._dynamodb_stream_positions.get(name)
            end = dynamodb.stream_end_position(table)
            if seen is not None and seen < end:
                yield f"records of {table}"


def activity():
    lasting = lambda thread: any(it in thread.name for it in LASTING)
    threads = [f"thread {it.name}" for it in threading.enumerate() if not lasting(it)]
    return {"busy": [*list(under_way.values()), *threads, *waiting()], "serial": serial}


def put(event):
    """Puts an event, and says what became of it: a status and a document."""
    missing = [name for name in ("source", "detail-type", "detail") if not event.get(name)]
    if missing:
        return 400, {"error": f"the event has no {', '.join(missing)}"}
    entry = {
        "Source": event["source"],
        "DetailType": event["detail-type"],
        "Detail": json.dumps(event["detail"]),
        "Resources": event.get("resources", []),
    }
    status, _, body = eventbridge._put_events({"Entries": [entry]}, allow_aws_source=True)
    return status, json.loads(body)


async def take(scope, receive, send):
    """Answers at the doors that the emulator does not have."""
    if scope["path"] == ACTIVITY:
        status, answer = 200, activity()
    else:
        body, is_more = b"", True
        while is_more:
            message = await receive()
            body, is_more = body + message.get("body", b""), message.get("more_body", False)
        try:
            status, answer = await asyncio.to_thread(put, json.loads(body))
        except (ValueError, AttributeError) as error:
            status, answer = 400, {"error": f"not an event: {error}"}
    body = json.dumps(answer).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def app(scope, receive, send):
    if scope["type"] != "http":
        await plain(scope, receive, send)
        return
    if scope["path"] == ACTIVITY:
        await take(scope, receive, send)
        return
    number = count()
    under_way[number] = f"request {scope['path']}"
    try:
        await (take if scope["path"] == EVENTS else plain)(scope, receive, send)
    finally:
        del under_way[number]
        count()


if __name__ == "__main__":
    emulator.app = app
    functions._execute_function = noted(functions._execute_function)
    functions.invoke_async_with_retry = with_alias(functions.invoke_async_with_retry)
    eventbridge._dispatch_to_lambda = dispatch
    emulator.main()
