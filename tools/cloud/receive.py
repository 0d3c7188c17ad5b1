"""A listener of the alert topic: confirms its subscription as SNS asks, and keeps what it hears."""

import json
import threading
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Listener:
    """An HTTP endpoint on 127.0.0.1."""

    def __init__(self):
        self.messages, self.confirmed = [], threading.Event()
        listener = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                listener.take(json.loads(body))
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/alerts"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def take(self, document):
        if document.get("Type") == "SubscriptionConfirmation":
            # This listener is for an emulator on this machine alone.
            if urllib.parse.urlsplit(document["SubscribeURL"]).hostname in ("127.0.0.1", "localhost"):
                opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
                opener.open(document["SubscribeURL"], timeout=10).read()
                self.confirmed.set()
        elif document.get("Type") == "Notification":
            self.messages.append(document)

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
