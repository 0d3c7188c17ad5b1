"""MiniStack for the tests over the wire: it ends with its parent, and the clock that ages tokens can be moved.

Each line of standard input is a number of seconds by which DynamoDB's clock moves on, answered with `moved`.
"""

import os
import sys
import threading
import time

import ministack.services.dynamodb as dynamodb
from ministack.app import main


class Clock:
    """The module `time`, some seconds ahead."""

    ahead = 0.0

    def __getattr__(self, name):
        return getattr(time, name)

    def time(self):
        return time.time() + self.ahead


def listen(clock):
    for line in sys.stdin:
        clock.ahead += float(line)
        print("moved", flush=True)
    os._exit(0)


dynamodb.time = Clock()
threading.Thread(target=listen, args=(dynamodb.time,), daemon=True).start()
sys.argv = ["ministack"]
main()
