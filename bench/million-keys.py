"""Measures a Keylodge with a million keys in one project against the same one with a single key, in one run.

Started by bench/million-keys.sh; needs Linux and nothing but the standard library.
"""

import argparse
import http.client
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PAGE_SIZE = 300
TURNS = 20  # of each measurement, after one that is not counted; the median counts
READY_SECONDS_MAX = 600


def main():
    parser = argparse.ArgumentParser(prog="bench/million-keys.sh", description=__doc__.splitlines()[0])
    parser.add_argument("--keys", type=int, default=1_000_000, help="keys to make (1000000)")
    parser.add_argument("--folder", type=Path, help="where the data folder is made and removed (the system's for such)")
    parser.add_argument("--programs", type=Path, required=True, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.keys < 3 * PAGE_SIZE:
        parser.error(f"a list has a beginning, a middle and an end from {3 * PAGE_SIZE} keys on")

    # So that neither a server nor a gigabyte stays behind when this is told to stop.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    with tempfile.TemporaryDirectory(dir=args.folder) as data_dir:
        data_dir = Path(data_dir)
        with Server(args, data_dir) as first_start:
            project = first_start.read_project()
        token = (data_dir / "owner-token").read_text().strip()

        with Server(args, data_dir) as empty:
            say("measuring with one key")
            before = {"start": empty.seconds, "memory": empty.memory, "create": Api(empty, project, token).create()}
        bytes_before = database_bytes(data_dir)

        say(f"making {args.keys} keys")
        start = time.monotonic()
        command = [args.programs / "examples/fill", data_dir, project, str(args.keys)]
        subprocess.run(command, check=True)
        fill_seconds = time.monotonic() - start

        with Server(args, data_dir) as full:
            say(f"measuring with {args.keys} keys")
            api = Api(full, project, token)
            # The memory is read before anything is asked, the list is read before anything is made.
            after = {"start": full.seconds, "memory": full.memory, "list": api.list(), "create": api.create()}
        bytes_after = database_bytes(data_dir)

    report(args, before, after, fill_seconds, bytes_after - bytes_before)


def report(args, before, after, fill_seconds, database_growth):
    """Prints what came out, each figure with what it was made from."""
    made = after["list"]["keys"] - 1 - (1 + TURNS)  # without the first start's, and those made before there were many
    if made != args.keys:
        sys.exit(f"{args.keys} keys were made and {made} are listed")
    print(f"{args.keys} keys in one project, {args.programs.name} build, {os.cpu_count()} cores\n")

    row = "{:<44} {:>12} {:>12}".format
    print(row("", "one key", f"{args.keys} keys"))
    for title, place in (("start to the address, s", "address"), ("start to /readyz 200, s", "ready")):
        print(row(title, f"{before['start'][place]:.3f}", f"{after['start'][place]:.3f}"))
    print(row("resident memory when ready, MiB", *(f"{side['memory'] / 2**20:.1f}" for side in (before, after))))
    print(row("create a key, median ms", *(f"{statistics.median(side['create']):.2f}" for side in (before, after))))

    print(f"\nresident memory per key: {(after['memory'] - before['memory']) / args.keys:.0f} bytes")
    print(f"database per key: {database_growth / args.keys:.0f} bytes")
    print(f"making the keys took {fill_seconds:.1f} s, {fill_seconds / args.keys * 1e6:.0f} us each")

    row = "{:<22} {:>10} {:>10} {:>10} {:>10}".format
    print()
    print(row(f"page of {PAGE_SIZE} keys, ms", "min", "median", "max", "ratio"))
    medians = {place: statistics.median(turns) for place, turns in after["list"]["pages"].items()}
    for place, turns in after["list"]["pages"].items():
        figures = (f"{value:.2f}" for value in (min(turns), medians[place], max(turns)))
        print(row(place, *figures, f"{medians[place] / medians['beginning']:.2f}"))


class Server:
    """A Keylodge on a data folder and a free port, and what its start took."""

    def __init__(self, args, data_dir):
        settings = {"limits.keys_per_project_max": max(2_000_000, 2 * args.keys), "log.level": "warn"}
        flags = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
        command = [args.programs / "keylodge", "up", "--listen", "127.0.0.1:0", "--engine", "script"]
        # Settings of whoever runs this would change what is measured.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("KEYLODGE_")}
        environment["KEYLODGE_CONFIG"] = os.devnull
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            [*command, "--data-dir", data_dir, *flags], stdout=subprocess.PIPE, text=True, env=environment
        )

    def __enter__(self):
        try:
            self.address = self.read_address()
            self.seconds = {"address": time.monotonic() - self.started}
            self.wait_until_ready()
            self.seconds["ready"] = time.monotonic() - self.started
            self.memory = self.resident_bytes()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def read_address(self):
        for line in self.process.stdout:
            if line.startswith("Keylodge listens on "):
                return line.split()[-1].removeprefix("http://")
        sys.exit("keylodge ended before it was up; what it said is above")

    def read_project(self):
        """The number of the project, which a first start tells."""
        for line in self.process.stdout:
            words = line.split()
            if words[:1] == ["project"]:
                return words[2].strip("()")
        sys.exit("keylodge ended before its first start was over; what it said is above")

    def wait_until_ready(self):
        deadline = time.monotonic() + READY_SECONDS_MAX
        while True:
            connection = http.client.HTTPConnection(self.address, timeout=30)
            connection.request("GET", "/readyz")
            answer = connection.getresponse()
            text = answer.read().decode()
            connection.close()
            if answer.status == 200:
                return
            if time.monotonic() > deadline:
                sys.exit(f"keylodge did not get ready: {text}")
            time.sleep(0.01)

    def resident_bytes(self):
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        sys.exit("the system does not say how much memory a process has")


class Api:
    """The owner's way to the keys of a project, on one connection."""

    def __init__(self, server, project, token):
        self.connection = http.client.HTTPConnection(server.address, timeout=60)
        self.headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self.keys = f"/v2/projects/{project}/locations/global/keys"

    def ask(self, method, path, body=None):
        """The answer, and how many milliseconds it took from the request to its last byte."""
        start = time.monotonic()
        self.connection.request(method, path, body, self.headers)
        answer = self.connection.getresponse()
        text = answer.read()
        milliseconds = (time.monotonic() - start) * 1000
        if answer.status != 200:
            sys.exit(f"{method} {path}: HTTP {answer.status}: {text.decode()}")
        return json.loads(text), milliseconds

    def create(self):
        new = json.dumps({"displayName": "Measured"})
        turns = [self.ask("POST", self.keys, new)[1] for _ in range(1 + TURNS)]
        return turns[1:]

    def page(self, token):
        query = f"?pageSize={PAGE_SIZE}" + (f"&pageToken={token}" if token else "")
        return self.ask("GET", self.keys + query)

    def list(self):
        """Reads the whole list, then its first, middle and last full page by turns."""
        tokens, keys, token = [], 0, ""
        while token is not None:
            page, _ = self.page(token)
            keys += len(page["keys"])
            if len(page["keys"]) == PAGE_SIZE:
                tokens.append(token)
            token = page.get("nextPageToken")
        places = {"beginning": tokens[0], "middle": tokens[len(tokens) // 2], "end": tokens[-1]}
        pages = {place: [] for place in places}
        for _ in range(1 + TURNS):
            for place, token in places.items():
                pages[place].append(self.page(token)[1])
        return {"keys": keys, "pages": {place: turns[1:] for place, turns in pages.items()}}


def database_bytes(data_dir):
    """The size of the database; the write-ahead log is folded into it when a server stops."""
    return sum(file.stat().st_size for file in data_dir.glob("keylodge.db*"))


def say(text):
    print(text, file=sys.stderr)


if __name__ == "__main__":
    main()
