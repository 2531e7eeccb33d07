// What people do with @google/genai's Live API, against a Keylodge that the environment points at.
//
// Prints a line for each check and ends at the first that fails. The argument says what answers: `script` (the words
// are known) or `model` (they are not).

import { GoogleGenAI, Modality } from '@google/genai';

import { check } from './checks.mjs';

const scripted = process.argv[2] === 'script';
const model = 'gemini-2.0-flash';
const story = 'Once upon a time.';
const config = { responseModalities: [Modality.TEXT] };
const turns = [{ role: 'user', parts: [{ text: 'Write a story.' }] }];

const ai = new GoogleGenAI({});

// A session whose messages can be waited for.
async function connect(ai, asked) {
  const heard = [];
  let wake = () => {};
  const callbacks = {
    onmessage: (message) => {
      heard.push(message);
      wake();
    },
    onclose: (event) => {
      heard.push({ closed: event.code, reason: event.reason });
      wake();
    },
    onerror: () => {},
  };
  const session = await ai.live.connect({ model, config, ...asked, callbacks });
  // All messages up to the first of which this is true.
  const until = async (is) => {
    for (;;) {
      const at = heard.findIndex(is);
      if (at >= 0) return heard.splice(0, at + 1);
      await new Promise((resolve) => (wake = resolve));
    }
  };
  return { session, until };
}

const isTurn = (message) => message.serverContent?.turnComplete || message.closed;

function textOf(messages) {
  const parts = messages.flatMap((message) => message.serverContent?.modelTurn?.parts ?? []);
  return parts.map((part) => part.text).join('');
}

function isSaid(text, messages) {
  return scripted ? textOf(messages) === text : textOf(messages) !== '';
}

async function refused(ai, asked) {
  try {
    const { until } = await connect(ai, asked);
    return (await until((message) => message.closed)).at(-1).reason;
  } catch (error) {
    return String(error);
  }
}

async function talk() {
  const { session, until } = await connect(ai, {});
  session.sendClientContent({ turns, turnComplete: true });
  const messages = await until(isTurn);
  check('a turn gives text in pieces', isSaid(story, messages) && messages.length > 3, messages);
  check('the last message has the counts', messages.at(-1).usageMetadata?.responseTokenCount > 0, messages.at(-1));
  session.sendRealtimeInput({ text: 'What is my name?' });
  check('text can be said in real time', isSaid('Your name is Ada.', await until(isTurn)));
  session.close();
}

async function withToken() {
  const liveConnectConstraints = { model, config };
  const token = await ai.authTokens.create({ config: { uses: 1, liveConnectConstraints } });
  const holder = new GoogleGenAI({ apiKey: token.name, httpOptions: { apiVersion: 'v1alpha' } });
  const { session, until } = await connect(holder, {});
  session.sendClientContent({ turns, turnComplete: true });
  check('a token opens a session', isSaid(story, await until(isTurn)));
  session.close();
  const said = await refused(holder, {});
  check('and one alone', said.includes('uses'), said);
}

async function mistakes() {
  const wrong = await refused(new GoogleGenAI({ apiKey: 'not-a-key' }), {});
  check('a wrong key is told', wrong.includes('API key not valid'), wrong);
  const unknown = await refused(ai, { model: 'gemini-9' });
  check('an unknown model is told', unknown.includes('gemini-9 is not found'), unknown);
}

await talk();
await withToken();
await mistakes();
process.exit(0);
