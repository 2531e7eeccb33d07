// What becomes of open Live sessions when their key is revoked, against a Keylodge that the environment points at. The
// argument is the file with the owner's token.
//
// Prints a line for each check and ends at the first that fails.

import { readFileSync } from 'node:fs';

import { GoogleGenAI, Modality } from '@google/genai';

import { check, raised } from './checks.mjs';

const model = 'gemini-2.0-flash';
const config = { responseModalities: [Modality.TEXT] };

const said = 'API key expired. Please renew the API key.';

const ai = new GoogleGenAI({});

// An open session, as a promise of how and when it ends.
async function ending(ai) {
  let end;
  const ended = new Promise((resolve) => (end = resolve));
  const callbacks = {
    onmessage: () => {},
    onclose: ({ code, reason }) => end({ code, reason, at: performance.now() }),
    onerror: () => {},
  };
  await ai.live.connect({ model, config, callbacks });
  // In an object, since a promise alone would be waited for.
  return { ended };
}

async function revoke() {
  const token = readFileSync(process.argv[2], 'utf8').trim();
  const url = `${process.env.GOOGLE_GEMINI_BASE_URL}/keylodge/v1/projects/default-project/keys/default-key:disable`;
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const answer = await fetch(url, { method: 'POST', headers, body: '{}' });
  check('the key is revoked', answer.status === 200, answer.status);
  return performance.now();
}

const token = await ai.authTokens.create({ config: { uses: 2 } });
const holder = new GoogleGenAI({ apiKey: token.name, httpOptions: { apiVersion: 'v1alpha' } });
const sessions = { 'of the key': await ending(ai), 'of its token': await ending(holder) };

const revoked = await revoke();

for (const [whose, { ended }] of Object.entries(sessions)) {
  const { code, reason, at } = await ended;
  check(`a session ${whose} ends`, code === 1007 && reason === said, [code, reason]);
  check('within a second', at - revoked < 1000, at - revoked);
}
for (const [whose, client] of Object.entries({ 'key': ai, 'token': holder })) {
  const error = String(await raised(() => ending(client)));
  check(`the ${whose} opens no other`, error.includes(`(code 1007): ${said}`), error);
}
process.exit(0);
