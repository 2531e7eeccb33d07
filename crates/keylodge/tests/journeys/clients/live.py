"""What people do with google-genai's Live API, against a Keylodge that speaks TLS with a certificate of its own.

Prints a line for each check and ends at the first that fails. The environment says where Keylodge is and whom to trust,
the argument what answers: `script` (the words are known) or `model` (they are not).
"""

import asyncio
import sys

from checks import check
from google import genai
from google.genai import errors

SCRIPTED = sys.argv[1] == "script"
MODEL = "gemini-2.0-flash"
STORY = "Once upon a time."
TEXT = {"response_modalities": ["TEXT"]}

client = genai.Client()


def says(text):
    return {"role": "user", "parts": [{"text": text}]}


async def turn(session):
    return [message async for message in session.receive()]


def text_of(messages):
    return "".join(message.text or "" for message in messages)


def is_said(text, messages):
    return text_of(messages) == text if SCRIPTED else text_of(messages) != ""


async def refused(client, **asked):
    try:
        async with client.aio.live.connect(model=asked.get("model", MODEL), config=TEXT):
            return None
    except Exception as error:  # APIError, or the websocket library's own, as the SDK's version has it
        return str(error)


async def talk():
    async with client.aio.live.connect(model=MODEL, config=TEXT) as session:
        await session.send_client_content(turns=says("Write a story."), turn_complete=True)
        messages = await turn(session)
        check("a turn gives text in pieces", is_said(STORY, messages) and len(messages) > 3, messages)
        usage = messages[-1].usage_metadata
        counts = usage and usage.prompt_token_count > 0 and usage.response_token_count > 0
        check("the last message has the counts", counts and usage.total_token_count > usage.prompt_token_count, messages)
        await session.send_realtime_input(text="What is my name?")
        check("text can be said in real time", is_said("Your name is Ada.", await turn(session)))


async def go_on():
    async with client.aio.live.connect(model=MODEL, config={**TEXT, "session_resumption": {}}) as session:
        await session.send_client_content(turns=says("Write a story."), turn_complete=True)
        first = (await turn(session))[-1].usage_metadata.prompt_token_count
        # The handle comes after its turn, so the client reads it with the next one.
        await session.send_client_content(turns=says("Write a story."), turn_complete=True)
        messages = await turn(session)
    updates = [message.session_resumption_update for message in messages if message.session_resumption_update]
    check("a handle to go on with is told", updates and updates[0].resumable and updates[0].new_handle, messages)
    resumed = {**TEXT, "session_resumption": {"handle": updates[0].new_handle}}
    async with client.aio.live.connect(model=MODEL, config=resumed) as session:
        await session.send_client_content(turns=says("Write a story."), turn_complete=True)
        longer = (await turn(session))[-1].usage_metadata.prompt_token_count
        check("and what was said goes along", longer > first, (first, longer))


async def with_token():
    fixed = {"model": MODEL, "config": {**TEXT, "temperature": 0.5}}
    token = client.auth_tokens.create(config={"uses": 1, "live_connect_constraints": fixed})
    holder = genai.Client(api_key=token.name, http_options={"api_version": "v1alpha"})
    async with holder.aio.live.connect(model=MODEL, config=TEXT) as session:
        await session.send_client_content(turns=says("Write a story."), turn_complete=True)
        check("a token opens a session", is_said(STORY, await turn(session)))
    said = await refused(holder)
    check("and one alone", said and "uses" in said, said)


async def mistakes():
    said = await refused(genai.Client(api_key="not-a-key"))
    check("a wrong key is told", said and "API key not valid" in said, said)
    said = await refused(client, model="gemini-9")
    check("an unknown model is told", said and "gemini-9 is not found" in said, said)


async def main():
    await talk()
    await go_on()
    await with_token()
    await mistakes()
    try:
        client.models.generate_content(model="gemini-9", contents="x")
    except errors.ClientError as error:
        check("the rest of the SDK speaks TLS, too", error.code == 404, error)


asyncio.run(main())
