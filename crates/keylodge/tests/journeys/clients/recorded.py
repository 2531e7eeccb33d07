"""Calls of the Gemini API that are recorded and replayed. It prints what its caller would see of the answers.

Its argument is what it asks.
"""

import json
import os
import socket
import sys
import urllib.error
import urllib.request

BASE = os.environ["GOOGLE_GEMINI_BASE_URL"]
KEY = os.environ["GEMINI_API_KEY"]
# Shaped as Google's keys are, and nobody's.
NOT_A_KEY = "AIza" + "SyNobodys" * 4
ASKED = sys.argv[1]
BODY = json.dumps({"contents": [{"parts": [{"text": f"{ASKED} {NOT_A_KEY} {KEY}"}]}]}).encode()
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def say(what, value):
    # Fields have no order.
    print(what, json.dumps(value, sort_keys=True), flush=True)


def call(path, body=BODY):
    request = urllib.request.Request(f"{BASE}/v1beta/{path}", body, {"x-goog-api-key": KEY})
    try:
        with OPENER.open(request) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def pieces(path):
    """The pieces of an answer as they came, and whether it came to its end."""
    host, port = BASE.removeprefix("http://").split(":")
    head = f"POST /v1beta/{path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n"
    head += f"x-goog-api-key: {KEY}\r\ncontent-length: {len(BODY)}\r\n\r\n"
    connection = socket.create_connection((host, int(port)))
    connection.sendall(head.encode() + BODY)
    answer = connection.makefile("rb").read()
    _, _, rest = answer.partition(b"\r\n\r\n")
    found = []
    while b"\r\n" in rest:
        size, _, rest = rest.partition(b"\r\n")
        length = int(size, 16)
        if length == 0:
            return found, "whole"
        found.append(rest[:length].decode())
        rest = rest[length + 2 :]
    return found, "broken off"


say("hidden", os.environ.get("REAL_KEY"))
status, answer = call("models/gemini-2.5-flash:generateContent?key=" + KEY)
say("generate", [status, answer.get("error") or answer["usageMetadata"]])
if status == 200:
    say("echo", NOT_A_KEY in answer["candidates"][0]["content"]["parts"][0]["text"])
    say("count", call("models/gemini-2.5-flash:countTokens"))
    say("list", call("models", None))
    say("stream", pieces("models/gemini-2.5-flash:streamGenerateContent?alt=sse"))
    say("array", pieces("models/gemini-2.5-flash:streamGenerateContent"))
    say("broken", pieces("models/dies:streamGenerateContent?alt=sse"))
    say("refused", call("models/leaky:generateContent"))
