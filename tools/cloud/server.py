"""The emulator, and one door more: `POST /_refit/events` takes an event as EventBridge delivers it and puts it on the default bus, whatever its source.

AWS's own sources (`aws.sagemaker`, `aws.cloudwatch`) may not be put by customers, and the emulator has neither SageMaker nor alarms that send events. Refit's
SageMaker endpoint sends its events here (`refit sagemaker serve --events-to`). It calls a function of the emulator that is not public: the version is pinned.
"""

import asyncio
import json

import ministack.app as emulator
import ministack.services.eventbridge as eventbridge

PATH = "/_refit/events"
plain = emulator.app


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


async def app(scope, receive, send):
    if scope["type"] != "http" or scope["path"] != PATH:
        await plain(scope, receive, send)
        return
    body, is_more = b"", True
    while is_more:
        message = await receive()
        body, is_more = body + message.get("body", b""), message.get("more_body", False)
    try:
        status, answer = await asyncio.to_thread(put, json.loads(body))
    except (ValueError, AttributeError) as error:
        status, answer = 400, {"error": f"not an event: {error}"}
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(answer).encode()})


if __name__ == "__main__":
    emulator.app = app
    emulator.main()
