"""What people do with the Interactions API of google-genai, against a Keylodge that relays to `google_like.py`.

Prints a line for each check and ends at the first that fails.
"""

from checks import check, raised
from google import genai

MODEL = "gemini-3-flash-preview"

client = genai.Client()


def text(interaction):
    return interaction.steps[-1].content[0].text


made = client.interactions.create(model=MODEL, input="Explain how AI works in a few words")
check("an interaction gives text", made.status == "completed" and text(made).startswith("word "), made)
check("its counts come along", made.usage.total_output_tokens == 20, made.usage)
found = client.interactions.get(made.id)
check("it is found again", found.id == made.id and text(found) == text(made), found)
second = client.interactions.create(model=MODEL, input="And?", previous_interaction_id=made.id)
check("a conversation goes on", second.status == "completed" and second.id != made.id, second)

kinds = [event.event_type for event in client.interactions.create(model=MODEL, input="Write a story.", stream=True)]
check("a stream begins and ends", kinds[0] == "interaction.created" and "interaction.completed" in kinds[-2:], kinds)

begun = client.interactions.create(model=MODEL, input="Write a story.", background=True)
check("in the background it is answered later", begun.status == "in_progress", begun)
check("and is there then", client.interactions.get(begun.id).status == "completed", begun)

client.interactions.delete(made.id)
error = raised(Exception, lambda: client.interactions.get(made.id))
check("deleted, it is not found", getattr(error, "status_code", None) == 404 or "404" in str(error), error)
