"""What people do with google-genai, against a Keylodge that the environment points at.

Prints a line for each check and ends at the first that fails. The argument says what answers: `script` (the words are
known) or `model` (they are not).
"""

import asyncio
import sys

from checks import check, raised
from google import genai
from google.genai import errors, types

SCRIPTED = sys.argv[1] == "script"
MODEL = "gemini-2.0-flash"
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
config()
chat()
asyncio.run(asynchronous())
mistakes()
if SCRIPTED:
    faults()
