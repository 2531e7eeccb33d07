// What people do with the Interactions API of @google/genai, against a Keylodge that the environment points at.
//
// Prints a line for each check and ends at the first that fails. The argument says what answers: `script` (the words
// are known) or `model` (they are not).

import { GoogleGenAI } from '@google/genai';

import { check, raised } from './checks.mjs';

const scripted = process.argv[2] === 'script';
const model = 'gemini-3-flash-preview';
const story = 'Once upon a time.';

const ai = new GoogleGenAI({});

const text = (interaction) => interaction.steps.at(-1).content[0].text;

async function create() {
  const interaction = await ai.interactions.create({ model, input: 'Explain how AI works in a few words' });
  check('an interaction gives text', scripted ? text(interaction) === story : text(interaction) !== '', interaction);
  const done = scripted ? ['completed'] : ['completed', 'incomplete'];
  check('it says that it is done', done.includes(interaction.status), interaction);
  const found = await ai.interactions.get(interaction.id);
  check('it is found again', text(found) === text(interaction), found);
  const next = await ai.interactions.create({ model, input: 'What is my name?', previous_interaction_id: interaction.id });
  check('a conversation goes on', scripted ? text(next) === 'Your name is Ada.' : text(next) !== '', next);
  await ai.interactions.delete(interaction.id);
  const error = await raised(() => ai.interactions.get(interaction.id));
  check('deleted, it is not found', error?.status === 404, String(error));
}

async function stream() {
  const kinds = [];
  let said = '';
  for await (const event of await ai.interactions.create({ model, input: 'Write a story.', stream: true })) {
    kinds.push(event.event_type);
    if (event.event_type === 'step.delta') said += event.delta.text;
  }
  check('a stream begins and ends', kinds[0] === 'interaction.created' && kinds.includes('interaction.completed'), kinds);
  check('its deltas are the text', scripted ? said === story : said !== '', said);
}

async function mistakes() {
  const wrong = new GoogleGenAI({ apiKey: 'not-a-key' });
  const error = await raised(() => wrong.interactions.create({ model, input: 'Hi' }));
  check('a wrong key is a 400 that says so', error?.status === 400 && String(error).includes('API key not valid'), String(error));
  const unknown = await raised(() => ai.interactions.create({ model: 'gemini-9', input: 'Hi' }));
  check('an unknown model is a 404', unknown?.status === 404, String(unknown));
}

await create();
await stream();
await mistakes();
