"""What people do with the OpenAI SDK, pointed at a Keylodge by OPENAI_BASE_URL and OPENAI_API_KEY.

Prints a line for each check and ends at the first that fails. The argument says what answers: `script` (the words are
known) or `model` (they are not).
"""

import sys

import openai
from checks import check, raised

SCRIPTED = sys.argv[1] == "script"
MODEL = "gemini-2.0-flash"
EMBEDDING_MODEL = "gemini-embedding-001"
STORY = "Once upon a time."

client = openai.OpenAI(max_retries=0)


def asked(text, **more):
    messages = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": text}]
    return client.chat.completions.create(model=MODEL, messages=messages, **more)


def chat():
    answer = asked("Write a story about a magic backpack.")
    said = answer.choices[0].message.content
    check("a completion gives text", said == STORY if SCRIPTED else said, answer)
    check("it says why it ended", answer.choices[0].finish_reason in ("stop", "length"), answer)
    usage = answer.usage
    check("its counts add up", usage.prompt_tokens + usage.completion_tokens == usage.total_tokens > 0, usage)
    capped = asked("Write a story.", max_completion_tokens=2, temperature=0.1, top_p=0.9, seed=7, stop=["ZZZZ"])
    check("a cap is told", capped.choices[0].finish_reason == "length", capped)
    if SCRIPTED:
        named = client.chat.completions.create(
            model=f"models/{MODEL}",
            messages=[
                {"role": "user", "content": "I am Ada."},
                {"role": "assistant", "content": "Hello Ada."},
                {"role": "user", "content": [{"type": "text", "text": "What is my name?"}]},
            ],
        )
        check("a conversation goes on", named.choices[0].message.content == "Your name is Ada.", named)


def stream():
    chunks = list(asked("Write a story.", stream=True, stream_options={"include_usage": True}))
    said = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    check("a stream is the text in chunks", len(chunks) > 3 and (said == STORY or not SCRIPTED), chunks)
    check("the last chunk has the counts", chunks[-1].usage.total_tokens > 0 and not chunks[-1].choices, chunks[-1])


def embeddings():
    made = client.embeddings.create(model=EMBEDDING_MODEL, input=["one text", "another"], dimensions=64)
    vectors = [entry.embedding for entry in made.data]
    check("embeddings are numbers", [len(vector) for vector in vectors] == [64, 64] and made.usage.total_tokens > 0, made)
    plain = client.embeddings.create(model=EMBEDDING_MODEL, input="one text", dimensions=64, encoding_format="float")
    near = all(abs(x - y) < 1e-5 for x, y in zip(plain.data[0].embedding, vectors[0]))
    check("as bytes and as numbers they are the same", near, plain)
    error = raised(openai.BadRequestError, lambda: client.embeddings.create(model=EMBEDDING_MODEL, input=[[1, 2]]))
    check("tokens are refused by name", error and "input[0]" in error.response.text, error)


def models():
    ids = [model.id for model in client.models.list()]
    check("models are listed", f"models/{MODEL}" in ids, ids)
    check("one is shown", client.models.retrieve(MODEL).id == f"models/{MODEL}")


def mistakes():
    wrong = openai.OpenAI(api_key="not-a-key", max_retries=0)
    error = raised(openai.BadRequestError, lambda: wrong.models.list())
    check("a wrong key is a BadRequestError", error is not None, error)
    # The SDK does not look into the array that Google's errors come in.
    check("it says what is wrong", error.response.json()[0]["error"]["message"].startswith("API key not valid"), error)
    error = raised(openai.NotFoundError, lambda: client.chat.completions.create(model="gpt-9", messages=[{"role": "user", "content": "Hi"}]))
    check("an unknown model is a NotFoundError", error and "gpt-9" in error.response.text, error)
    error = raised(openai.BadRequestError, lambda: asked("Hi", extra_body={"made_up": 1}))
    check("an unknown field is a BadRequestError that names it", error and "made_up" in error.response.text, error)
    check("its decision is in the header", raised(openai.BadRequestError, lambda: wrong.models.list()).response.headers["x-keylodge-decision"])
    if SCRIPTED:
        error = raised(openai.RateLimitError, lambda: asked("quota"))
        check("429 is a RateLimitError", error is not None, error)
        error = raised(openai.InternalServerError, lambda: asked("overloaded"))
        check("503 is an InternalServerError", error and error.status_code == 503, error)
        error = raised(openai.APIError, lambda: list(asked("break", stream=True)))
        check("a fault in the middle of a stream raises", error is not None, error)


chat()
stream()
embeddings()
models()
mistakes()
