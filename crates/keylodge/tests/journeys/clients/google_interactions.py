"""The Interactions API of the server in `google_like.py`.

Shapes: the answer and the events as google-genai 3.3 reads them (`interactions` of its generated client; names repeated
in `event_type`, `[DONE]` last), in Google's order of fields of a recorded answer; errors with a word as code, as Google's
pages document them. What is stored is found with the key that made it alone, as keys of two accounts.

Every answer is told in `/seen` as it was sent. `bare` says its id last; `mute` does not say what it took.
"""

import itertools
import json
import threading

ANSWER_TOKENS = 20
KEPT = {}
NUMBERS = itertools.count()


def is_for(path):
    return "/interactions" in path.split("?")[0]


def error(message, code):
    return {"error": {"message": message, "code": code}}


def usage(count):
    return {
        "total_tokens": 5 + count,
        "total_input_tokens": 5,
        "total_output_tokens": count,
        "total_thought_tokens": 0,
        "total_cached_tokens": 0,
        "total_tool_use_tokens": 0,
        "input_tokens_by_modality": [{"modality": "text", "tokens": 5}],
    }


def interaction(name, model, text, status, count):
    made = {"id": name, "object": "interaction", "status": status, "model": model}
    made |= {"created": "2026-11-21T07:00:00Z", "updated": "2026-11-21T07:00:01Z", "service_tier": "standard"}
    output = {"type": "model_output", "content": [{"type": "text", "text": text}]}
    made["steps"] = [] if status == "in_progress" else [{"type": "thought", "signature": "c2ln"}, output]
    if status != "in_progress" and model != "mute":
        made["usage"] = usage(count)
    if model == "bare":
        made["id"] = made.pop("id")
    return made


def say(handler, status, message, seen):
    seen["answer"] = json.dumps(message)
    handler.say(status, message)


def post(handler, body, seen):
    if handler.path.split("?")[0].endswith("/cancel"):
        return cancel(handler, seen)
    request = json.loads(body)
    model = request.get("model") or request.get("agent")
    key = handler.headers["x-goog-api-key"]
    before = request.get("previous_interaction_id")
    if before and KEPT.get(before, {}).get("key") != key:
        return say(handler, 404, error(f"Interaction {before} not found.", "not_found"), seen)
    cap = request.get("generation_config", {}).get("max_output_tokens") or ANSWER_TOKENS
    count = min(int(cap), ANSWER_TOKENS)
    status = "completed" if count == ANSWER_TOKENS else "incomplete"
    name = f"v1_made-{next(NUMBERS)}" if request.get("store", True) else ""
    if model == "slow":
        seen["left"] = not handler.rfile.read(1)
        handler.close_connection = True
        return None
    if model == "suspended":
        return say(handler, 403, error(f"Consumer 'api_key:{key}' has been suspended.", "permission_denied"), seen)
    if model == "no-such":
        return say(handler, 404, error("Model no-such not found.", "model_not_found"), seen)
    done = interaction(name, model, "word " * count, status, count)
    if name:
        KEPT[name] = {"key": key, "made": done}
    if request.get("stream"):
        return stream(handler, done, count, seen)
    if request.get("background"):
        return say(handler, 200, interaction(name, model, "", "in_progress", 0), seen)
    return say(handler, 200, done, seen)


def found(handler, seen):
    """What the path names, if this key made it."""
    name = handler.path.split("?")[0].split("/interactions/")[1].split("/")[0]
    kept = KEPT.get(name)
    if kept and kept["key"] == handler.headers["x-goog-api-key"]:
        return name, kept["made"]
    say(handler, 404, error(f"Interaction {name} not found.", "not_found"), seen)
    return None, None


def begun(handler, seen_all):
    seen = {"path": handler.path, "headers": handler.headers.items(), "method": handler.command, "left": False}
    seen_all.append(seen)
    return seen


def get(handler, seen_all):
    seen = begun(handler, seen_all)
    name, made = found(handler, seen)
    if name and "stream=true" in handler.path:
        stream(handler, made, made["usage"]["total_output_tokens"], seen)
    elif name:
        say(handler, 200, made, seen)


def delete(handler, seen_all):
    seen = begun(handler, seen_all)
    name, _ = found(handler, seen)
    if name:
        del KEPT[name]
        say(handler, 200, {}, seen)


def cancel(handler, seen):
    name, made = found(handler, seen)
    if name:
        made["status"] = "cancelled"
        say(handler, 200, made, seen)


def events(made, count):
    head = {name: made[name] for name in ("id", "status", "object", "model")} | {"status": "in_progress"}
    yield "interaction.created", {"interaction": head}
    yield "interaction.status_update", {"interaction_id": made["id"], "status": "in_progress"}
    yield "step.start", {"index": 0, "step": {"type": "model_output"}}
    at = 0
    while made["model"] == "endless" or at < count:
        at += 1
        yield "step.delta", {"index": 0, "delta": {"type": "text", "text": f"word{at} "}}
    yield "step.stop", {"index": 0}
    last = {name: made[name] for name in ("id", "status", "object", "usage", "created", "updated") if name in made}
    yield "interaction.completed", {"interaction": last}


def stream(handler, made, count, seen):
    handler.begin_stream([("content-type", "text/event-stream"), ("set-cookie", "theirs=1")])
    seen["answer"] = ""
    try:
        for at, (name, data) in enumerate(events(made, count)):
            said = json.dumps(data | {"event_type": name, "event_id": str(at)})
            say_piece(handler, f"event: {name}\ndata: {said}\n\n", seen)
            if made["model"] == "dies" and name == "step.delta":
                handler.close_connection = True
                return
            if made["model"] == "silent" and name == "step.delta":
                threading.Event().wait(600)
        say_piece(handler, "event: done\ndata: [DONE]\n\n", seen)
        handler.piece(b"")
    except OSError:
        seen["left"] = True
        handler.close_connection = True


def say_piece(handler, text, seen):
    seen["answer"] += text
    handler.piece(text.encode())
