"""What people do with google-genai, against a Keylodge that the environment points at.

Prints a line for each check and ends at the first that fails. The argument says what answers: `script` (the words are
known) or `model` (they are not).
"""

import asyncio
import sys
from datetime import datetime, timedelta, timezone

from checks import check, raised
from google import genai
from google.genai import errors, types

SCRIPTED = sys.argv[1] == "script"
MODEL = "gemini-2.0-flash"
EMBEDDING_MODEL = "gemini-embedding-001"
STORY = "Once upon a time."
PROMPT = "Write a story about a magic backpack."

client = genai.Client()


def generate():
    answer = client.models.generate_content(model=MODEL, contents=PROMPT)
    check("generate_content gives text", answer.text == STORY if SCRIPTED else len(answer.text) > 0, answer)
    usage = answer.usage_metadata
    total = usage.prompt_token_count + usage.candidates_token_count
    check("its counts add up", usage.prompt_token_count > 0 and usage.total_token_count == total, usage)
    check("it says why it ended", answer.candidates[0].finish_reason in ("STOP", "MAX_TOKENS"), answer)
    check("it says which model answered", answer.model_version == MODEL and answer.response_id, answer)
    counted = client.models.count_tokens(model=MODEL, contents=PROMPT)
    check("count_tokens gives the prompt's count", counted.total_tokens == usage.prompt_token_count, counted)


def stream():
    chunks = list(client.models.generate_content_stream(model=MODEL, contents=PROMPT))
    text = "".join(chunk.text or "" for chunk in chunks)
    check("generate_content_stream gives text in pieces", len(chunks) > 3 and (text == STORY or not SCRIPTED), chunks)
    check("the last chunk alone says why it ended", [bool(c.candidates[0].finish_reason) for c in chunks].count(True) == 1)
    check("the last chunk has the total", chunks[-1].usage_metadata.total_token_count > 0, chunks[-1])
    check("all chunks are of one response", len({chunk.response_id for chunk in chunks}) == 1)


def models():
    names = [model.name for model in client.models.list(config={"page_size": 3})]
    check("models.list goes over all pages", f"models/{MODEL}" in names and len(names) == len(set(names)) > 3, names)
    model = client.models.get(model=MODEL)
    check("models.get gives one", model.name == f"models/{MODEL}" and "generateContent" in model.supported_actions, model)


def embeddings():
    texts = ["How do I bake bread?", "A recipe for a loaf of bread", "My server does not start"]
    made = client.models.embed_content(model=EMBEDDING_MODEL, contents=texts)
    vectors = [embedding.values for embedding in made.embeddings]
    cosine = lambda a, b: sum(x * y for x, y in zip(a, b))
    check("embed_content gives a vector for each text", len(vectors) == 3 and len(vectors[0]) > 100, vectors)
    check("vectors have length 1", all(abs(cosine(vector, vector) - 1) < 1e-3 for vector in vectors))
    if not SCRIPTED:
        near, far = cosine(vectors[0], vectors[1]), cosine(vectors[0], vectors[2])
        check("near texts have near vectors", near > far + 0.2, (near, far))
    whole = types.EmbedContentConfig(task_type="RETRIEVAL_DOCUMENT", title="Bread", output_dimensionality=64)
    one = client.models.embed_content(model=EMBEDDING_MODEL, contents=texts[1], config=whole)
    check("a whole config is taken", len(one.embeddings) == 1 and len(one.embeddings[0].values) == 64, one)
    model = client.models.get(model=EMBEDDING_MODEL)
    check("its model says what it is for", "embedContent" in model.supported_actions and model.input_token_limit > 0, model)
    wrong = lambda: client.models.embed_content(model=EMBEDDING_MODEL, contents="a", config={"output_dimensionality": 9999})
    error = raised(errors.ClientError, wrong)
    check("too many dimensions are a ClientError 400", error and error.code == 400, error)
    error = raised(errors.ClientError, lambda: client.models.embed_content(model=MODEL, contents="a"))
    check("a model of text is not found for it", error and error.code == 404, error)


def config():
    answer = client.models.generate_content(
        model=MODEL,
        contents=[types.Content(role="user", parts=[types.Part.from_text(text=PROMPT)])],
        config=types.GenerateContentConfig(
            system_instruction="Answer briefly.",
            temperature=0.1,
            top_p=0.9,
            top_k=3,
            candidate_count=1,
            max_output_tokens=2,
            stop_sequences=["ZZZZ"],
            seed=7,
            thinking_config=types.ThinkingConfig(thinking_budget=0),
            safety_settings=[types.SafetySetting(category="HARM_CATEGORY_HARASSMENT", threshold="BLOCK_NONE")],
        ),
    )
    check("a whole config is taken", answer.usage_metadata.candidates_token_count == 2, answer)
    check("the cap on tokens is told", answer.candidates[0].finish_reason == "MAX_TOKENS", answer)
    if SCRIPTED:
        answer = client.models.generate_content(model=MODEL, contents=PROMPT, config={"stop_sequences": [" a"]})
        check("a stop sequence ends the answer", answer.text == "Once upon", answer)


def chat():
    talk = client.chats.create(model=MODEL, config={"system_instruction": "Be kind."})
    talk.send_message("I am Ada.")
    answer = talk.send_message("What is my name?")
    check("a chat goes on over turns", answer.text == "Your name is Ada." if SCRIPTED else answer.text, answer)
    check("its history has all turns", [turn.role for turn in talk.get_history()] == ["user", "model"] * 2)
    chunks = list(talk.send_message_stream("And my name again?"))
    check("a chat streams", "".join(chunk.text or "" for chunk in chunks) != "", chunks)


async def asynchronous():
    other = genai.Client()
    answer = await other.aio.models.generate_content(model=MODEL, contents=PROMPT)
    made = await other.aio.models.embed_content(model=EMBEDDING_MODEL, contents="one text")
    check("the asynchronous client gets vectors", len(made.embeddings) == 1, made)
    check("the asynchronous client gets text", answer.text == STORY or not SCRIPTED, answer)
    texts = [c.text or "" async for c in await other.aio.models.generate_content_stream(model=MODEL, contents=PROMPT)]
    check("the asynchronous client streams", "".join(texts) == STORY or not SCRIPTED, texts)


def mistakes():
    wrong = genai.Client(api_key="not-a-key")
    error = raised(errors.ClientError, lambda: wrong.models.generate_content(model=MODEL, contents=PROMPT))
    check("a wrong key is a ClientError 400", error and (error.code, error.status) == (400, "INVALID_ARGUMENT"), error)
    check("it says what is wrong", error.message == "API key not valid. Please pass a valid API key.", error)
    reason = error.details["error"]["details"][0]["reason"]
    check("it has the reason", reason == "API_KEY_INVALID", error.details)
    error = raised(errors.ClientError, lambda: list(wrong.models.generate_content_stream(model=MODEL, contents=PROMPT)))
    check("a wrong key is the same error in a stream", error and error.code == 400, error)
    error = raised(errors.ClientError, lambda: client.models.generate_content(model="gemini-9", contents=PROMPT))
    check("an unknown model is a ClientError 404", error and (error.code, error.status) == (404, "NOT_FOUND"), error)
    error = raised(
        errors.ClientError,
        lambda: client.models.generate_content(model=MODEL, contents=PROMPT, config={"candidate_count": 2}),
    )
    check("what is not served is a ClientError 400 that names it", error and "candidate_count" in error.message, error)


def tokens():
    limits = {"uses": 2, "expire_time": datetime.now(timezone.utc) + timedelta(hours=1)}
    config = {"response_modalities": ["TEXT"], "temperature": 0.7, "top_k": 3}
    fixed = {"live_connect_constraints": {"model": MODEL, "config": config}, "lock_additional_fields": ["max_output_tokens"]}
    for version in ("v1", "v1alpha"):
        of_version = genai.Client(http_options={"api_version": version})
        for asked in ({}, limits, {**limits, **fixed}):
            token = of_version.auth_tokens.create(config=asked)
            check(f"auth_tokens.create gives a token ({version})", token.name.startswith("auth_tokens/"), token)
    late = {"expire_time": datetime.now(timezone.utc) + timedelta(hours=21)}
    error = raised(errors.ClientError, lambda: client.auth_tokens.create(config=late))
    check("a token that would be good too long is a ClientError 400", error and error.code == 400, error)
    check("it names the field", "expire_time" in error.message, error)


def faults():
    error = raised(errors.ClientError, lambda: client.models.generate_content(model=MODEL, contents="quota"))
    check("429 is a ClientError", error and (error.code, error.status) == (429, "RESOURCE_EXHAUSTED"), error)
    error = raised(errors.ServerError, lambda: client.models.generate_content(model=MODEL, contents="overloaded"))
    check("503 is a ServerError", error and (error.code, error.status) == (503, "UNAVAILABLE"), error)
    heard = []

    def listen():
        for chunk in client.models.generate_content_stream(model=MODEL, contents="break"):
            heard.append(chunk.text)

    error = raised(errors.ServerError, listen)
    check("a fault in the middle of a stream raises", error and error.code == 503 and heard == ["It"], (error, heard))


generate()
stream()
models()
embeddings()
config()
chat()
asyncio.run(asynchronous())
mistakes()
tokens()
if SCRIPTED:
    faults()
