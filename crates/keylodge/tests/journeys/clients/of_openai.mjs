// What people do with the OpenAI SDK, pointed at a Keylodge by OPENAI_BASE_URL and OPENAI_API_KEY.
//
// Prints a line for each check and ends at the first that fails. The argument says what answers: `script` (the words
// are known) or `model` (they are not).

import OpenAI from 'openai';

import { check, raised } from './checks.mjs';

const scripted = process.argv[2] === 'script';
const model = 'gemini-2.0-flash';
const story = 'Once upon a time.';

const client = new OpenAI({ maxRetries: 0 });

const messages = [{ role: 'user', content: 'Write a story about a magic backpack.' }];

const answer = await client.chat.completions.create({ model, messages });
const said = answer.choices[0].message.content;
check('a completion gives text', scripted ? said === story : said !== '', answer);

let streamed = '';
for await (const chunk of await client.chat.completions.create({ model, messages, stream: true })) {
  streamed += chunk.choices[0]?.delta?.content ?? '';
}
check('a stream is the text in chunks', scripted ? streamed === story : streamed !== '', streamed);

const made = await client.embeddings.create({ model: 'gemini-embedding-001', input: ['one text', 'another'] });
const sizes = made.data.map((entry) => entry.embedding.length);
check('embeddings are numbers', sizes.length === 2 && sizes[0] > 100 && sizes[0] === sizes[1], sizes);

const ids = [];
for await (const one of await client.models.list()) ids.push(one.id);
check('models are listed', ids.includes(`models/${model}`), ids);

const wrong = new OpenAI({ apiKey: 'not-a-key', maxRetries: 0 });
const error = await raised(() => wrong.chat.completions.create({ model, messages }));
check('a wrong key is a BadRequestError', error instanceof OpenAI.BadRequestError, String(error));
const unknown = await raised(() => client.chat.completions.create({ model: 'gpt-9', messages }));
check('an unknown model is a NotFoundError', unknown instanceof OpenAI.NotFoundError, String(unknown));
