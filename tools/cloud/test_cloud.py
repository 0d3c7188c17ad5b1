"""The comparison finds what differs, and the listener confirms and hears."""

import copy
import json
import threading
import unittest
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer

from compare import count, differences, named
from receive import Listener

USER = "arn:aws:iam::000000000000:user/maria (AIDA0B563227278A48249)"
CLOUD = {
    "world": "cloud",
    "runs": [{"id": "m-r0001", "causes": ["age"], "metrics": {"mae": {"candidate": 1.5}}}],
    "approvals": [{"votes": [{"by": USER}]}],
    "decisions": [{"reasons": [f"{USER} approved: yes"]}],
    "audit": {"entries": 7, "verified": True, "head": "a"},
}
LOCAL = {
    **copy.deepcopy(CLOUD),
    "world": "local",
    "report": "report.html",
    "quality": {"metric": "mae"},
    "approvals": [{"votes": [{"by": "maria"}]}],
    "decisions": [{"reasons": ["maria approved: yes"]}],
    "audit": {"entries": 7, "verified": True, "head": "b"},
}


class Comparison(unittest.TestCase):
    def test_worlds_may_differ_in_what_is_listed_alone(self):
        self.assertEqual(list(differences(CLOUD, LOCAL)), [])
        self.assertEqual(count(LOCAL), 7)

    def test_any_other_value_is_found(self):
        def changes(value, path=()):
            if isinstance(value, dict):
                for name, it in value.items():
                    yield from changes(it, (*path, name))
            elif isinstance(value, list):
                for index, it in enumerate(value):
                    yield from changes(it, (*path, index))
            else:
                yield path

        compared = 0
        for path in changes(LOCAL):
            changed = copy.deepcopy(LOCAL)
            place = changed
            for part in path[:-1]:
                place = place[part]
            place[path[-1]] = "another"
            if path[0] in ("world", "report", "quality") or path == ("audit", "head"):
                self.assertEqual(list(differences(CLOUD, changed)), [], path)
            else:
                self.assertEqual(len(list(differences(CLOUD, changed))), 1, path)
                compared += 1
        self.assertEqual(compared, count(LOCAL))

    def test_what_is_missing_or_too_much_is_found(self):
        longer = copy.deepcopy(LOCAL)
        longer["runs"].append({"id": "m-r0002"})
        self.assertEqual([it[0] for it in differences(CLOUD, longer)], ["runs[1]"])
        self.assertEqual([it[0] for it in differences({**CLOUD, "failures": []}, LOCAL)], ["failures"])

    def test_a_true_is_no_one(self):
        self.assertEqual(len(list(differences({"a": 1}, {"a": True}))), 1)

    def test_people_have_names(self):
        self.assertEqual(named(f"{USER} and {USER}"), "maria and maria")


class Hearing(unittest.TestCase):
    def test_a_subscription_is_confirmed_and_messages_are_kept(self):
        asked = []

        class Topic(BaseHTTPRequestHandler):
            def do_GET(self):
                asked.append(self.path)
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        topic = HTTPServer(("127.0.0.1", 0), Topic)
        threading.Thread(target=topic.serve_forever, daemon=True).start()
        listener = Listener()
        try:
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

            def post(document):
                opener.open(urllib.request.Request(listener.url, json.dumps(document).encode())).read()

            post({"Type": "SubscriptionConfirmation", "SubscribeURL": f"http://127.0.0.1:{topic.server_address[1]}/?Token=t"})
            post({"Type": "Notification", "Message": "m"})
            post({"Type": "UnsubscribeConfirmation"})
        finally:
            listener.stop()
            topic.shutdown()
            topic.server_close()
        self.assertEqual(asked, ["/?Token=t"])
        self.assertTrue(listener.confirmed.is_set())
        self.assertEqual([it["Message"] for it in listener.messages], ["m"])


if __name__ == "__main__":
    unittest.main()
