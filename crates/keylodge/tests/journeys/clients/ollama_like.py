"""A small server that speaks OpenAI's chat completions and embeddings as Ollama does (its `/v1`).

It prints its port. Shapes of completions, chunks, tool calls and errors are those of the golden files beside the
translation's tests, which say where each was recorded.

What it does is told by the model's name: `all-minilm` makes vectors of a text's place and length; `qwen3:8b` answers with what it was sent, or as tools and formats ask;
`endless` goes on past any cap until nobody listens; `dies` hangs up after two chunks; `over` keeps to no cap; `slow` says
nothing until nobody listens; `mute` does not say what it counted; `sorry` answers with an error and 200.
"""

import json

from upstreams_base import Handler, serve

ANSWER_TOKENS = 20
SEEN = []
END = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "like-ollama"}


class Ollama(Handler):
    def do_GET(self):
        if self.path == "/seen":
            return self.say(200, SEEN)
        return self.say(200, {"object": "list", "data": [{"id": "qwen3:8b", "object": "model"}]})

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
        seen = {"path": self.path, "headers": self.headers.items(), "body": body, "left": False}
        SEEN.append(seen)
        chat = json.loads(body)
        model = chat["model"]
        if model == "slow":
            seen["left"] = not self.rfile.read(1)
            self.close_connection = True
            return None
        if model == "sorry":
            return self.say(200, {"error": {"message": "not now", "type": "api_error", "code": None}})
        if model == "all-minilm" and self.path.endswith("/embeddings"):
            texts = list(enumerate(chat["input"]))
            # In no order: each says which text it is of.
            data = [{"object": "embedding", "index": at, "embedding": [float(at), float(len(text))]} for at, text in texts]
            used = {"prompt_tokens": 3 * len(texts), "total_tokens": 3 * len(texts)}
            return self.say(200, {"object": "list", "model": model, "data": data[::-1], "usage": used})
        if model not in ("qwen3:8b", "endless", "dies", "over", "mute"):
            said = {"error": {"message": f'model "{model}" not found', "type": "api_error", "code": None}}
            return self.say(404, said)
        cap = ANSWER_TOKENS if model == "over" else chat.get("max_tokens", ANSWER_TOKENS)
        count = min(cap, ANSWER_TOKENS)
        end = "stop" if count == ANSWER_TOKENS else "length"
        if chat.get("stream"):
            return self.stream(model, count, end, seen)
        message = {"role": "assistant", "content": json.dumps(seen)}
        if chat.get("response_format"):
            message["content"] = '{"city": "Basel"}'
        if chat.get("tools"):
            name = chat["tools"][0]["function"]["name"]
            call = {"id": "call_1", "index": 0, "type": "function"}
            call["function"] = {"name": name, "arguments": '{"city":"Basel"}'}
            message, end = {"role": "assistant", "content": "", "tool_calls": [call]}, "tool_calls"
        choice = {"index": 0, "message": message, "finish_reason": end}
        counted = {} if model == "mute" else {"usage": usage(count)}
        return self.say(200, END | {"object": "chat.completion", "choices": [choice]} | counted)

    def stream(self, model, count, end, seen):
        self.begin_stream([("content-type", "text/event-stream")])
        at = 0
        try:
            while model == "endless" or at < count:
                at += 1
                delta = {"role": "assistant", "content": f"word{at} "}
                self.event(END | {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
                if model == "dies" and at == 2:
                    self.close_connection = True
                    return
            self.event(END | {"choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": end}]})
            self.event(END | {"choices": [], "usage": usage(count)})
            self.piece(b"data: [DONE]\n\n")
            self.piece(b"")
        except OSError:
            seen["left"] = True
            self.close_connection = True

    def event(self, message):
        self.piece(f"data: {json.dumps(message)}\n\n".encode())


def usage(count):
    return {"prompt_tokens": 5, "completion_tokens": count, "total_tokens": 5 + count}


serve(Ollama)
