"""Measures generated tokens per second through Keylodge's HTTP API and of the library alone, turn by turn.

Started by bench/generate.sh; needs nothing but the standard library. Exit code 1: a ratio is below the bound.
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

PROMPT = "Write a story about a magic backpack."
MODEL_FILE = "models/SmolLM2-135M-Instruct.Q4_1.gguf"
RATIO_MIN = 0.9
START_SECONDS_MAX = 600  # the first start fetches the model

# The figures compared: what it is called, and its name in what library_speed prints.
FIGURES = {"whole call": "tokens_per_second", "after the first token": "generated_per_second"}


def main():
    parser = argparse.ArgumentParser(prog="bench/generate.sh", description=__doc__.splitlines()[0])
    cores = os.cpu_count() or 1
    parser.add_argument("--rounds", type=int, default=7, help="turns of each side (7)")
    parser.add_argument("--tokens", type=int, default=200, help="tokens to generate in each turn (200)")
    parser.add_argument("--threads", type=int, default=max(1, cores - 1), help="threads that compute (cores - 1)")
    parser.add_argument("--programs", type=Path, required=True, help=argparse.SUPPRESS)
    args = parser.parse_args()

    with tempfile.TemporaryDirectory() as data_dir, Server(args, data_dir) as server:
        sides = {"HTTP API": server.measure, "library": lambda: library(args, server.model_file)}
        for measure in sides.values():
            measure()  # a warm-up of each, not counted
        turns = {name: [] for name in sides}
        for turn in range(args.rounds):
            for name, measure in sides.items():
                turns[name].append(measure())
            both = [f"{name} {turns[name][-1]['generated_per_second']:.1f}" for name in sides]
            print(f"round {turn + 1} of {args.rounds}: {', '.join(both)}", file=sys.stderr)

    sys.exit(report(args, turns))


def report(args, turns):
    """Prints the table and gives the exit code."""
    counts = {name: {(turn["prompt_tokens"], turn["output_tokens"]) for turn in side} for name, side in turns.items()}
    (api_counts, library_counts) = counts.values()
    if api_counts != library_counts or len(api_counts) != 1:
        sys.exit(f"the sides did different work (prompt and output tokens): {counts}")
    [(prompt_tokens, output_tokens)] = api_counts
    print(f"{prompt_tokens} prompt tokens, {output_tokens} generated, {args.threads} threads, {args.rounds} rounds\n")

    row = "{:<22} {:<9} {:>8} {:>8} {:>8}".format
    print(row("tokens per second", "", "min", "median", "max"))
    worst = float("inf")
    for title, figure in FIGURES.items():
        medians = []
        for name, side in turns.items():
            values = [turn[figure] for turn in side]
            medians.append(statistics.median(values))
            print(row(title, name, *(f"{value:.1f}" for value in (min(values), medians[-1], max(values)))))
        ratio = medians[0] / medians[1]
        worst = min(worst, ratio)
        print(row("", "ratio", "", f"{ratio:.3f}", ""))
    print(f"\nlowest ratio of medians {worst:.3f}, {'at least' if worst >= RATIO_MIN else 'BELOW'} {RATIO_MIN}")
    return 0 if worst >= RATIO_MIN else 1


def library(args, model_file):
    """One turn of the library: a process of its own, which loads the model before it starts its watch."""
    command = [args.programs / "examples/library_speed", model_file, PROMPT, str(args.tokens), str(args.threads)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


class Server:
    """A Keylodge with a data folder of its own, on a free port."""

    def __init__(self, args, data_dir):
        self.tokens = args.tokens
        cache_dir = os.environ.get("KEYLODGE_CACHE_DIR")
        if not cache_dir:
            cache_dir = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "keylodge"
        self.model_file = Path(cache_dir) / MODEL_FILE
        settings = {
            "cache_dir": cache_dir,
            "model.threads": args.threads,
            "model.output_tokens_max": args.tokens,
            "log.level": "warn",
        }
        flags = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
        command = [args.programs / "keylodge", "up", "--listen", "127.0.0.1:0", "--engine", "embedded"]
        # Settings of whoever runs this would change what is measured.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("KEYLODGE_")}
        environment["KEYLODGE_CONFIG"] = os.devnull
        self.process = subprocess.Popen(
            [*command, "--data-dir", data_dir, *flags], stdout=subprocess.PIPE, text=True, env=environment
        )

    def __enter__(self):
        try:
            self.address, self.key = self.read_welcome()
            self.wait_until_ready()
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

    def read_welcome(self):
        address = None
        for line in self.process.stdout:
            words = line.split()
            if line.startswith("Keylodge listens on "):
                address = words[-1].removeprefix("http://")
            if words[:2] == ["API", "key"]:
                return address, words[2]
        sys.exit("keylodge ended before it was up; what it said is above")

    def wait_until_ready(self):
        deadline = time.monotonic() + START_SECONDS_MAX
        while True:
            connection = http.client.HTTPConnection(self.address, timeout=30)
            connection.request("GET", "/readyz")
            answer = connection.getresponse()
            text = answer.read().decode()
            connection.close()
            if answer.status == 200:
                return
            if time.monotonic() > deadline:
                sys.exit(f"the model did not get ready: {text}")
            time.sleep(0.1)

    def measure(self):
        """One turn through the API, on a connection of its own, streamed as an SDK would."""
        body = {
            "contents": [{"parts": [{"text": PROMPT}]}],
            "generationConfig": {"temperature": 0, "maxOutputTokens": self.tokens},
        }
        headers = {"Content-Type": "application/json", "x-goog-api-key": self.key}
        path = "/v1beta/models/gemini-2.0-flash:streamGenerateContent?alt=sse"
        start = time.monotonic()
        connection = http.client.HTTPConnection(self.address, timeout=300)
        connection.request("POST", path, json.dumps(body), headers)
        answer = connection.getresponse()
        if answer.status != 200:
            sys.exit(f"HTTP {answer.status}: {answer.read().decode()}")
        events = []
        for line in answer:
            if line.startswith(b"data: "):
                events.append((time.monotonic(), json.loads(line[6:])["usageMetadata"]))
        whole = time.monotonic() - start
        connection.close()

        (first_at, first), (last_at, last) = events[0], events[-1]
        generated = last["candidatesTokenCount"]
        return {
            "prompt_tokens": last["promptTokenCount"],
            "output_tokens": generated,
            "tokens_per_second": generated / whole,
            "generated_per_second": (generated - first["candidatesTokenCount"]) / (last_at - first_at),
        }


if __name__ == "__main__":
    main()
