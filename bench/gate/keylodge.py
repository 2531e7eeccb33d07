"""Keylodge as it takes part: with settings and a data folder of its own, and every key restricted, limited and counted."""

import http.client
import json
import os
import sys
import time

import machine
import programs
from peers import Target, free_port

SERVICE = "bench.example.com"
PROJECT = "default-project"
GATED = "/bench"
BARE = "/bare"
# Google's answer to a key that is not valid.
REFUSED = 400

# What every key has besides its string. Restrictions, and limits that are counted and never reached, belong here.
EVERY_KEY = {"services": [SERVICE]}
# Calls of the management API on the project before the keys come: method, path, body.
OUT_OF_REACH = str(10**12)
PROJECT_CALLS = [
    ("POST", f"/v1/projects/{PROJECT}/services/{SERVICE}:enable", {}),
    (
        "PUT",
        f"/keylodge/v1/projects/{PROJECT}/limits",
        {"limits": [{"metric": "REQUESTS", "window": window, "value": OUT_OF_REACH} for window in ("MINUTE", "DAY")]},
    ),
]
KEYS_AT_ONCE = 1000
READY_SECONDS_MAX = 600


def settings(port, data_dir, upstream):
    return f"""
listen = "127.0.0.1:{port}"
data_dir = "{data_dir}"
threads = 1
engine = "script"
log.level = "warn"
limits.keys_per_project_max = 4000000

[services]
"{SERVICE}" = "Bench API"

[upstreams.bench]
kind = "http"
url = "http://127.0.0.1:{upstream}"
service = "{SERVICE}"
path = "{GATED}"

[upstreams.bare]
kind = "http"
url = "http://127.0.0.1:{upstream}"
service = "{SERVICE}"
path = "{BARE}"
dangerous_without_key = true
"""


def prepare_keylodge(stage, program, keys):
    """A Keylodge that knows the keys, and the same one's way around its gate.

    The keys come in before, and the process that is measured is started anew: a server that took a million keys has the
    memory of that, and nobody runs one so.
    """
    name, port = f"keylodge-{keys.name}", free_port()
    folder = stage.folder / name
    folder.mkdir()
    config = folder / "keylodge.toml"
    config.write_text(settings(port, folder / "data", stage.upstream))
    # Settings of whoever runs this would change what is measured.
    env = {name: value for name, value in os.environ.items() if not name.startswith("KEYLODGE_")}
    command = [program, "up", "--config", config]

    filled = stage.start(f"{name}-fill", machine.PROXY_CORE, command, port, env)
    api = Api(port, folder / "data/owner-token")
    api.wait_until_ready()
    for method, path, body in PROJECT_CALLS:
        api.ask(method, path, body)
    api.import_all(keys.keys)
    filled.stop()

    process = stage.start(name, machine.PROXY_CORE, command, port, env)
    api.wait_until_ready()
    gated = Target(name, port, process, keys, path=f"{GATED}/echo", refused=REFUSED)
    bare = Target(f"{name}-bare", port, process, keys, path=f"{BARE}/echo")
    return gated, bare, api


class Api:
    """The owner's way to the management API, on one connection."""

    def __init__(self, port, token_file):
        self.port, self.token_file, self.connection = port, token_file, None

    def ask(self, method, path, body=None):
        """The answer; anything but 200 ends the run."""
        status, text = self.try_ask(method, path, body)
        if status != 200:
            sys.exit(f"{method} {path}: HTTP {status}: {text}")
        return json.loads(text)

    def try_ask(self, method, path, body=None):
        if self.connection is None:
            self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        token = self.token_file.read_text().strip()
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self.connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = self.connection.getresponse()
        return answer.status, answer.read().decode()

    def wait_until_ready(self):
        self.connection = None
        deadline = time.monotonic() + READY_SECONDS_MAX
        while True:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
            connection.request("GET", "/readyz")
            status = connection.getresponse().status
            connection.close()
            if status == 200 and self.token_file.exists():
                return
            if time.monotonic() > deadline:
                sys.exit(f"keylodge is not ready after {READY_SECONDS_MAX} s")
            time.sleep(0.02)

    def import_all(self, strings):
        for at in range(0, len(strings), KEYS_AT_ONCE):
            self.import_some(strings[at : at + KEYS_AT_ONCE])
            if at % 100_000 == 0 and at > 0:
                programs.say(f"{at} of {len(strings)} keys are in")

    def import_some(self, strings):
        """Up to a thousand keys, and what the API says of each."""
        keys = [EVERY_KEY | {"keyString": string} for string in strings]
        return self.ask("POST", f"/keylodge/v1/projects/{PROJECT}/keys:import", {"keys": keys})["keys"]
