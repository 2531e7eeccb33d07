// What people do with @google/genai, against a Keylodge that the environment points at.
//
// Prints a line for each check and ends at the first that fails. The argument says what answers: `script` (the words
// are known) or `model` (they are not).

import { ApiError, GoogleGenAI } from '@google/genai';

import { all, check, raised } from './checks.mjs';

const scripted = process.argv[2] === 'script';
const model = 'gemini-2.0-flash';
const embeddingModel = 'gemini-embedding-001';
const story = 'Once upon a time.';
const contents = 'Write a story about a magic backpack.';

const ai = new GoogleGenAI({});

async function generate() {
  const answer = await ai.models.generateContent({ model, contents });
  check('generateContent gives text', scripted ? answer.text === story : answer.text.length > 0, answer);
  const usage = answer.usageMetadata;
  const total = usage.promptTokenCount + usage.candidatesTokenCount;
  check('its counts add up', usage.promptTokenCount > 0 && usage.totalTokenCount === total, usage);
  check('it says why it ended', ['STOP', 'MAX_TOKENS'].includes(answer.candidates[0].finishReason), answer);
  check('it says which model answered', answer.modelVersion === model && answer.responseId !== '', answer);
  const counted = await ai.models.countTokens({ model, contents });
  check("countTokens gives the prompt's count", counted.totalTokens === usage.promptTokenCount, counted);
}

async function stream() {
  const chunks = await all(ai.models.generateContentStream({ model, contents }));
  const text = chunks.map((chunk) => chunk.text ?? '').join('');
  check('generateContentStream gives text in pieces', chunks.length > 3 && (text === story || !scripted), chunks);
  const ends = chunks.filter((chunk) => chunk.candidates[0].finishReason);
  check('the last chunk alone says why it ended', ends.length === 1 && ends[0] === chunks.at(-1), ends);
  check('all chunks are of one response', new Set(chunks.map((chunk) => chunk.responseId)).size === 1, chunks);
}

async function models() {
  const listed = await all(ai.models.list({ config: { pageSize: 3 } }));
  const names = listed.map((listed) => listed.name);
  check('models.list goes over all pages', names.includes(`models/${model}`) && names.length > 3, names);
  const one = await ai.models.get({ model });
  check('models.get gives one', one.name === `models/${model}` && one.supportedActions.includes('countTokens'), one);
}

async function embeddings() {
  const contents = ['How do I bake bread?', 'A recipe for a loaf of bread', 'My server does not start'];
  const made = await ai.models.embedContent({ model: embeddingModel, contents });
  const vectors = made.embeddings.map((embedding) => embedding.values);
  const cosine = (a, b) => a.reduce((sum, x, at) => sum + x * b[at], 0);
  check('embedContent gives a vector for each text', vectors.length === 3 && vectors[0].length > 100, vectors);
  check('vectors have length 1', vectors.every((vector) => Math.abs(cosine(vector, vector) - 1) < 1e-3));
  if (!scripted) {
    const [near, far] = [cosine(vectors[0], vectors[1]), cosine(vectors[0], vectors[2])];
    check('near texts have near vectors', near > far + 0.2, [near, far]);
  }
  const config = { taskType: 'RETRIEVAL_DOCUMENT', title: 'Bread', outputDimensionality: 64 };
  const one = await ai.models.embedContent({ model: embeddingModel, contents: contents[1], config });
  check('a whole config is taken', one.embeddings.length === 1 && one.embeddings[0].values.length === 64, one);
  const error = await raised(() => ai.models.embedContent({ model, contents: 'a' }));
  check('a model of text is not found for it', error instanceof ApiError && error.status === 404, String(error));
}

async function config() {
  const answer = await ai.models.generateContent({
    model,
    contents: [{ role: 'user', parts: [{ text: contents }] }],
    config: {
      systemInstruction: 'Answer briefly.',
      temperature: 0.1,
      topP: 0.9,
      topK: 3,
      candidateCount: 1,
      maxOutputTokens: 2,
      stopSequences: ['ZZZZ'],
      seed: 7,
      thinkingConfig: { thinkingBudget: 0 },
      safetySettings: [{ category: 'HARM_CATEGORY_HARASSMENT', threshold: 'BLOCK_NONE' }],
    },
  });
  check('a whole config is taken', answer.usageMetadata.candidatesTokenCount === 2, answer);
  check('the cap on tokens is told', answer.candidates[0].finishReason === 'MAX_TOKENS', answer);
  if (scripted) {
    const stopped = await ai.models.generateContent({ model, contents, config: { stopSequences: [' a'] } });
    check('a stop sequence ends the answer', stopped.text === 'Once upon', stopped);
  }
}

async function chat() {
  const talk = ai.chats.create({ model, config: { systemInstruction: 'Be kind.' } });
  await talk.sendMessage({ message: 'I am Ada.' });
  const answer = await talk.sendMessage({ message: 'What is my name?' });
  check('a chat goes on over turns', scripted ? answer.text === 'Your name is Ada.' : answer.text, answer);
  check('its history has all turns', talk.getHistory().length === 4, talk.getHistory());
  const chunks = await all(talk.sendMessageStream({ message: 'And my name again?' }));
  check('a chat streams', chunks.map((chunk) => chunk.text ?? '').join('') !== '', chunks);
}

async function mistakes() {
  const wrong = new GoogleGenAI({ apiKey: 'not-a-key' });
  for (const call of [
    () => wrong.models.generateContent({ model, contents }),
    () => all(wrong.models.generateContentStream({ model, contents })),
  ]) {
    const error = await raised(call);
    check('a wrong key is an ApiError 400', error instanceof ApiError && error.status === 400, String(error));
    const body = JSON.parse(error.message).error;
    check('it has the reason', body.details[0].reason === 'API_KEY_INVALID', body);
  }
  const error = await raised(() => ai.models.generateContent({ model: 'gemini-9', contents }));
  check('an unknown model is an ApiError 404', error instanceof ApiError && error.status === 404, String(error));
}

async function tokens() {
  const limits = { uses: 2, expireTime: new Date(Date.now() + 3600e3).toISOString() };
  const settings = { responseModalities: ['TEXT'], temperature: 0.7, topK: 3 };
  const fixed = { liveConnectConstraints: { model, config: settings }, lockAdditionalFields: ['maxOutputTokens'] };
  for (const apiVersion of ['v1', 'v1alpha']) {
    const ofVersion = new GoogleGenAI({ httpOptions: { apiVersion } });
    for (const config of [{}, limits, { ...limits, ...fixed }]) {
      const token = await ofVersion.authTokens.create({ config });
      check(`authTokens.create gives a token (${apiVersion})`, token.name.startsWith('auth_tokens/'), token);
    }
  }
  const expireTime = new Date(Date.now() + 21 * 3600e3).toISOString();
  const error = await raised(() => ai.authTokens.create({ config: { expireTime } }));
  check('a token that would be good too long is an ApiError 400', error instanceof ApiError && error.status === 400, String(error));
  check('it names the field', JSON.parse(error.message).error.message.includes('expire_time'), error.message);
}

async function faults() {
  for (const [contents, status, name] of [['quota', 429, 'RESOURCE_EXHAUSTED'], ['overloaded', 503, 'UNAVAILABLE']]) {
    const error = await raised(() => ai.models.generateContent({ model, contents }));
    const is = error instanceof ApiError && error.status === status && JSON.parse(error.message).error.status === name;
    check(`${status} is an ApiError`, is, String(error));
  }
  const heard = [];
  const error = await raised(async () => {
    for await (const chunk of await ai.models.generateContentStream({ model, contents: 'break' })) heard.push(chunk.text);
  });
  const is = error instanceof ApiError && error.status === 503 && heard.join() === 'It';
  check('a fault in the middle of a stream throws', is, [String(error), heard]);
}

await generate();
await stream();
await models();
await embeddings();
await config();
await chat();
await mistakes();
await tokens();
if (scripted) await faults();
