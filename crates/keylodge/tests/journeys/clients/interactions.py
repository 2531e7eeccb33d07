"""What people do with the Interactions API of google-genai, against a Keylodge that the environment points at.

Prints a line for each check and ends at the first that fails. The argument says what answers: `script` (the words are
known) or `model` (they are not).
"""

import sys

from checks import check, raised
from google import genai

SCRIPTED = sys.argv[1] == "script"
MODEL = "gemini-3-flash-preview"
STORY = "Once upon a time."

client = genai.Client()


def status(error):
    return getattr(error, "status_code", None) or getattr(error, "code", None)


def text(interaction):
    return interaction.steps[-1].content[0].text


def create():
    interaction = client.interactions.create(model=MODEL, input="Explain how AI works in a few words")
    check("an interaction gives text", text(interaction) == STORY if SCRIPTED else text(interaction) != "", interaction)
    done = ["completed"] if SCRIPTED else ["completed", "incomplete"]
    check("it says that it is done", interaction.status in done, interaction)
    usage = interaction.usage
    total = usage.total_input_tokens + usage.total_output_tokens
    check("its counts add up", usage.total_input_tokens > 0 and usage.total_tokens == total, usage)
    found = client.interactions.get(interaction.id)
    check("it is found again", text(found) == text(interaction) and found.id == interaction.id, found)
    client.interactions.delete(interaction.id)
    error = raised(Exception, lambda: client.interactions.get(interaction.id))
    check("deleted, it is not found", error is not None and status(error) == 404, error)


def converse():
    first = client.interactions.create(model=MODEL, input="I am Ada.", system_instruction="Be kind.")
    second = client.interactions.create(model=MODEL, input="What is my name?", previous_interaction_id=first.id)
    check("a conversation goes on", text(second) == "Your name is Ada." if SCRIPTED else text(second), second)
    check("it knows what it goes on from", second.previous_interaction_id == first.id, second)
    turn = [{"type": "text", "text": "And my name again?"}]
    third = client.interactions.create(model=MODEL, input=turn, store=False, generation_config={"temperature": 0.2, "max_output_tokens": 3})
    check("contents are taken, and a cap is told", third.status == "incomplete" or not SCRIPTED, third)


def stream():
    events = list(client.interactions.create(model=MODEL, input="Write a story.", stream=True))
    kinds = [event.event_type for event in events]
    check("a stream begins and ends", kinds[0] == "interaction.created" and "interaction.completed" in kinds[-2:], kinds)
    check("its steps have a beginning and an end", kinds.count("step.start") == kinds.count("step.stop") == 1, kinds)
    said = "".join(event.delta.text for event in events if event.event_type == "step.delta")
    check("its deltas are the text", said == STORY if SCRIPTED else said != "", said)


def background():
    begun = client.interactions.create(model=MODEL, input="Write a story.", background=True)
    check("in the background it is answered later", begun.status in ("in_progress", "completed"), begun)
    for event in client.interactions.get(begun.id, stream=True):
        last = event
    done = client.interactions.get(begun.id)
    check("a stream follows it to its end", done.status in ("completed", "incomplete") and text(done), (last, done))


def mistakes():
    wrong = genai.Client(api_key="not-a-key")
    error = raised(Exception, lambda: wrong.interactions.create(model=MODEL, input="Hi"))
    check("a wrong key is a 400 that says so", status(error) == 400 and "API key not valid" in str(error), error)
    error = raised(Exception, lambda: client.interactions.create(model="gemini-9", input="Hi"))
    check("an unknown model is a 404", status(error) == 404, error)
    error = raised(Exception, lambda: client.interactions.create(model=MODEL, input="Hi", previous_interaction_id="v1_none"))
    check("an unknown interaction is a 404", status(error) == 404 and "v1_none" in str(error), error)


create()
converse()
stream()
background()
mistakes()
