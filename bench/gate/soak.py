"""Loads a proxy at a part of what it can do for a long time, and fails if its memory grows or an answer is wrong.

Started by bench/soak.sh; bench/README.md says what the figures mean.
"""

import argparse
import json
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import keylodge
import machine
import peers
import programs
from key_files import KeyFile

CONNECTIONS = 32
PART_OF_MAXIMUM = 0.6
GROWTH_MAX = 0.02
MAXIMUM_SECONDS = 5
# Once a minute usage is folded, which takes some memory for a second or two. So the most of the first minute is compared
# with the most of all later ones; medians of minutes are compared besides, and tell a rise that peaks would hide.
MINUTE = 60


def main():
    parser = argparse.ArgumentParser(prog="bench/soak.sh", description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=3600, help="length after the warm-up (3600)")
    parser.add_argument("--warm-up", type=int, default=120, help="seconds before memory counts (120)")
    parser.add_argument("--minute", action="store_true", help="a minute beside another, as in CI")
    parser.add_argument("--dev", action="store_true", help="the program that the tests run, not one built for release")
    parser.add_argument("--keys", type=int, default=10_000, help="keys that are used in turn (10000)")
    parser.add_argument("--of", choices=["keylodge", "floor", "nginx", "haproxy"], default="keylodge")
    parser.add_argument("--out", type=Path, help="folder for soak.json (target/bench)")
    args = parser.parse_args()
    if args.minute:
        args.seconds = 2 * MINUTE
    if args.seconds < 2 * MINUTE:
        parser.error(f"it takes {2 * MINUTE} seconds to see growth")
    programs.are_of_tests = args.dev
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))

    tools = programs.tools()
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        folder.chmod(0o711)
        with peers.Stage(folder, tools) as stage:
            target = start(stage, args.of, KeyFile(folder, "soak", args.keys))
            maximum = stage.run_load(target, "good", CONNECTIONS, MAXIMUM_SECONDS)["per_second"]
            rate = maximum * PART_OF_MAXIMUM
            programs.say(f"{target.name} does {maximum:.0f} requests/s; going on with {rate:.0f}")
            came, samples = soak(args, stage, target, rate)

    minutes = [statistics.median(samples[at : at + MINUTE]) for at in range(0, len(samples) - MINUTE + 1, MINUTE)]
    base, after = minutes[0], max(minutes[1:])
    growth = max(after / base, max(samples[MINUTE:]) / max(samples[:MINUTE])) - 1
    first, highest, last, most = (value / 2**20 for value in (base, after, minutes[-1], max(samples)))
    print(f"{target.name}, {came['requests']} requests in {came['seconds']:.0f} s, {came['per_second']:.0f}/s")
    print(f"resident memory, medians of minutes: {first:.2f} MiB in the first, {highest:.2f} in the highest after it,", end=" ")
    print(f"{last:.2f} in the last; {most:.2f} at the most for a second")
    print(f"growth, the larger of medians and of the most: {growth * 100:.2f} %, at most {GROWTH_MAX * 100:.0f} % is fine; wrong answers: none")
    out = args.out or tools.parent / "bench"
    out.mkdir(parents=True, exist_ok=True)
    whole = {"target": target.name, "maximum_per_second": maximum, "came": came, "resident_bytes": samples}
    (out / "soak.json").write_text(json.dumps(whole) + "\n")
    if growth > GROWTH_MAX:
        sys.exit("its memory grew")
    if came["per_second"] < 0.95 * rate:
        slow = f"it did not keep up with {rate:.0f} requests/s"
        # Of a machine that others use meanwhile it says nothing about the program.
        if not args.minute:
            sys.exit(slow)
        programs.say(slow)


def start(stage, name, keys):
    if name == "keylodge":
        return keylodge.prepare_keylodge(stage, programs.keylodge(), keys)[0]
    return {"floor": peers.floor, "nginx": peers.nginx, "haproxy": peers.haproxy}[name](stage, keys)


def soak(args, stage, target, rate):
    """What came of the load, and the resident memory of each second after the warm-up."""
    command = stage.load(target, "good", CONNECTIONS, args.warm_up + args.seconds, rate=rate)
    load = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    began, samples = time.monotonic(), []
    try:
        for second in range(args.warm_up + args.seconds):
            time.sleep(max(0.0, began + second - time.monotonic()))
            if load.poll() is not None:
                break
            if second >= args.warm_up:
                samples.append(machine.resident_bytes(target.process.pid))
        said = load.communicate()[0]
    finally:
        load.kill()
    if load.returncode != 0:
        sys.exit(f"{target.name} did not answer as it should: {said}\n{target.process.said()}")
    return json.loads(said), samples


if __name__ == "__main__":
    main()
