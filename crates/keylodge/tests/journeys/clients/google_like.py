"""A small server that speaks the Gemini API as Google's does, for what stands behind a gate.

It prints its port. Its keys are its arguments; a key that begins with `busy` lets no call through. Shapes: answers, chunks
and `usageMetadata` as the official clients read them (google-genai 1.70 and 3.4, `types.py`), errors as Google's API
gives them for bad keys and for quota.

What it does is told by the model's name: `gemini-2.5-flash` answers with what it was sent; `endless` goes on past any
cap until nobody listens; `dies` hangs up after two chunks; `silent` says one chunk and then nothing; `over` keeps to no
cap; `slow` says nothing until nobody listens; `suspended` and `leaky` refuse the key and name it.

Interactions are in `google_interactions.py`; the models of these names do the same there.
With the key `drifted` its answers have another shape than they had: no `finishReason`, and a `grade`.
"""

import json
import sys
import threading

import google_interactions
from upstreams_base import Handler, serve

KEYS = sys.argv[1:]
ANSWER_TOKENS = 20
SEEN = []


def error(code, status, message, *details):
    return {"error": {"code": code, "message": message, "status": status, "details": list(details)}}


BAD_KEY = error(
    400,
    "INVALID_ARGUMENT",
    "API key not valid. Please pass a valid API key.",
    {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": "API_KEY_INVALID",
        "domain": "googleapis.com",
        "metadata": {"service": "generativelanguage.googleapis.com"},
    },
)
BUSY = error(
    429,
    "RESOURCE_EXHAUSTED",
    "You exceeded your current quota.",
    {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "30s"},
)


def suspended(key):
    info = BAD_KEY["error"]["details"][0] | {"reason": "CONSUMER_SUSPENDED"}
    message = f"Permission denied: Consumer 'api_key:{key}' has been suspended."
    return error(403, "PERMISSION_DENIED", message, info)


def chunk(text, output, end=None):
    candidate = {"content": {"parts": [{"text": text}], "role": "model"}, "index": 0}
    if "drifted" in KEYS:
        candidate["grade"] = 1
    elif end:
        candidate["finishReason"] = end
    usage = {"promptTokenCount": 5, "candidatesTokenCount": output, "totalTokenCount": 5 + output}
    return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "like-google", "responseId": "r"}


class Google(Handler):
    def do_GET(self):
        path = self.path.split("?")[0]
        if path == "/seen":
            return self.say(200, SEEN)
        if not self.has_key():
            return None
        if google_interactions.is_for(path):
            return google_interactions.get(self, SEEN)
        models = [
            {"name": f"models/{name}", "displayName": name, "supportedGenerationMethods": ["generateContent"]}
            for name in ("gemini-2.5-flash", "like-google")
        ]
        if path.endswith("/models"):
            return self.say(200, {"models": models})
        for model in models:
            if path.endswith(model["name"]):
                return self.say(200, model)
        return self.say(404, error(404, "NOT_FOUND", "models/x is not found"))

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
        seen = {"path": self.path, "headers": self.headers.items(), "body": body, "left": False}
        SEEN.append(seen)
        if not self.has_key():
            return
        if google_interactions.is_for(self.path):
            google_interactions.post(self, body, seen)
            return
        model, _, verb = self.path.split("?")[0].rsplit("/", 1)[-1].rpartition(":")
        cap = json.loads(body).get("generationConfig", {}).get("maxOutputTokens") or ANSWER_TOKENS
        count = ANSWER_TOKENS if model == "over" else min(int(cap), ANSWER_TOKENS)
        end = "STOP" if count == ANSWER_TOKENS else "MAX_TOKENS"
        if model == "slow":
            seen["left"] = not self.rfile.read(1)
            self.close_connection = True
        elif model == "suspended":
            self.say(403, suspended(self.headers["x-goog-api-key"]))
        elif model == "leaky":
            self.say(404, error(404, "NOT_FOUND", f"No such thing for {self.headers['x-goog-api-key']}."))
        elif verb == "countTokens":
            self.say(200, {"totalTokens": 5})
        elif verb == "embedContent":
            self.say(200, {"embedding": {"values": [0.5, 0.25]}})
        elif verb == "batchEmbedContents":
            self.say(200, {"embeddings": [{"values": [0.5, 0.25]}]})
        elif verb == "generateContent" and model == "over":
            self.begin_stream([("content-type", "application/json; charset=UTF-8")])
            said = json.dumps(chunk("over", count, end)).encode()
            for piece in (said[:40], said[40:-1], said[-1:], b""):
                self.piece(piece)
        elif verb == "generateContent":
            self.say(200, chunk(json.dumps(seen), count, end))
        else:
            self.stream(model, count, end, seen)

    def do_DELETE(self):
        if self.has_key():
            google_interactions.delete(self, SEEN)

    def stream(self, model, count, end, seen):
        sse = "alt=sse" in self.path
        content_type = "text/event-stream" if sse else "application/json; charset=UTF-8"
        self.begin_stream([("content-type", content_type), ("alt-svc", 'h3=":443"; ma=2592000')])
        at = 0
        try:
            while model == "endless" or at < count:
                at += 1
                last = model != "endless" and at == count
                said = json.dumps(chunk(f"word{at} ", at, end if last else None))
                between = "[" if at == 1 else ",\r\n"
                framed = f"data: {said}\r\n\r\n" if sse else f"{between}{said}{']' if last else ''}"
                self.piece(framed.encode())
                if model == "dies" and at == 2:
                    self.close_connection = True
                    return
                if model == "silent":
                    threading.Event().wait(600)
            self.piece(b"")
        except OSError:
            seen["left"] = True
            self.close_connection = True

    def has_key(self):
        key = self.headers.get("x-goog-api-key")
        if key not in KEYS:
            self.say(400, BAD_KEY)
        elif key.startswith("busy"):
            self.say(429, BUSY)
        else:
            return True
        return False


serve(Google)
