// What a web app does with ephemeral tokens, in a real browser, against a Keylodge that the environment points at.
//
// This program is the app's own server: it serves a page and the SDK's build for the web, and makes tokens with the key,
// which never reaches the page. The arguments are the browser and what answers: `script` (the words are known) or `model`
// (they are not). Prints a line for each check that the page reports and ends
// at the first that fails.

import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { GoogleGenAI } from '@google/genai';

import { check } from './checks.mjs';

// A browser on a busy machine may take its time, and one that cannot start says nothing.
const TIME_MAX = 120e3;

const [browser, answering] = process.argv.slice(2);
const baseUrl = process.env.GOOGLE_GEMINI_BASE_URL;
const ai = new GoogleGenAI({});

// The page: it knows where Keylodge is and asks its own server for tokens.
async function page(baseUrl, scripted) {
  const { GoogleGenAI, Modality } = await import('@google/genai');
  const model = 'gemini-2.0-flash';
  const story = 'Once upon a time.';
  const config = { responseModalities: [Modality.TEXT] };
  const turns = [{ role: 'user', parts: [{ text: 'Write a story.' }] }];

  const ours = async (path, said) => (await fetch(path, { method: 'POST', body: JSON.stringify(said) })).json();
  const check = (what, holds, shown) => ours('/check', { what, holds: Boolean(holds), shown });
  const token = async (wanted) => (await ours('/token', wanted)).name;

  // A session whose messages can be waited for.
  const connect = async (apiKey, asked) => {
    const ai = new GoogleGenAI({ apiKey, httpOptions: { baseUrl, apiVersion: 'v1alpha' } });
    const heard = [];
    let wake = () => {};
    const callbacks = {
      onmessage: (message) => wake(heard.push(message)),
      onclose: (event) => wake(heard.push({ closed: `${event.code} ${event.reason}` })),
      onerror: () => {},
    };
    const session = await ai.live.connect({ model, config, ...asked, callbacks });
    const turn = async () => {
      for (;;) {
        const at = heard.findIndex((message) => message.serverContent?.turnComplete || message.closed);
        if (at >= 0) return heard.splice(0, at + 1);
        await new Promise((resolve) => (wake = resolve));
      }
    };
    return { session, turn };
  };
  const refused = async (apiKey, asked) => {
    try {
      const { session } = await connect(apiKey, asked);
      session.close();
      return '';
    } catch (error) {
      return String(error);
    }
  };
  const textOf = (messages) => {
    const parts = messages.flatMap((message) => message.serverContent?.modelTurn?.parts ?? []);
    return parts.map((part) => part.text).join('');
  };
  const isSaid = (text, said) => (scripted ? said === text : Boolean(said));
  const isRefusal = (said, words) => said.includes('code 1008') && said.includes(words);

  const once = await token({ uses: 1, liveConnectConstraints: { model, config } });
  const { session, turn } = await connect(once);
  session.sendClientContent({ turns, turnComplete: true });
  const messages = await turn();
  await check('a token opens a session, and a turn gives text in pieces', isSaid(story, textOf(messages)) && messages.length > 3, messages);
  await check('the turn is complete, with the counts', messages.at(-1).usageMetadata?.responseTokenCount > 0, messages.at(-1));
  session.sendRealtimeInput({ text: 'What is my name?' });
  const said = textOf(await turn());
  await check('text can be said in real time', isSaid('Your name is Ada.', said), said);
  session.close();
  const again = await refused(once);
  await check('the same token opens no other', isRefusal(again, 'All uses'), again);

  const fixed = await token({ uses: 1, liveConnectConstraints: { model, config } });
  const other = await refused(fixed, { model: 'gemini-2.5-pro' });
  await check('nor does one for another model', isRefusal(other, 'another model'), other);
  const wider = await refused(fixed, { config: { ...config, tools: [{ googleSearch: {} }] } });
  await check('nor for a wider setup', isRefusal(wider, 'tools'), wider);
  await check('which cost it no use', (await refused(fixed)) === '');

  // Beyond Google: for calls, too, which the SDK does not send with a token.
  const forCalls = await token({ scope: 'API', uses: 2 });
  const contents = [{ parts: [{ text: 'Write a story.' }] }];
  const call = (query, headers) =>
    fetch(`${baseUrl}/v1/models/${model}:generateContent${query}`, { method: 'POST', headers, body: JSON.stringify({ contents }) });
  const first = await (await call('', { 'x-goog-api-key': forCalls })).json();
  await check('a token for calls opens one by its header', isSaid(story, first.candidates?.[0].content.parts[0].text), first);
  const second = await call(`?access_token=${forCalls}`);
  await check('and one by its parameter', second.status === 200, second.status);
  const third = await call('', { authorization: `Bearer ${forCalls}` });
  const error = (await third.json()).error;
  await check('and then no more, which the page can read', third.status === 403 && error.message.includes('All uses'), error);
}

// What the page loads besides itself. The one package that the SDK's build imports is CommonJS; bundlers wrap it so.
const sdk = createRequire(import.meta.url).resolve('@google/genai/web');
const scripts = {
  '/genai.mjs': () => readFileSync(sdk),
  '/p-retry.mjs': () => `export default ${wrapped(createRequire(sdk).resolve('p-retry'))};`,
  '/page.mjs': () =>
    `const page = ${page};\n` +
    `page(${JSON.stringify(baseUrl)}, ${answering === 'script'})\n` +
    `  .catch((error) => ({ fault: String(error.stack ?? error) }))\n` +
    `  .then((said) => fetch('/over', { method: 'POST', body: JSON.stringify(said ?? {}) }));`,
};
const imports = { '@google/genai': '/genai.mjs', 'p-retry': '/p-retry.mjs' };
const html =
  `<!doctype html><title>Live</title><script type="importmap">${JSON.stringify({ imports })}</script>` +
  `<script type="module" src="/page.mjs"></script>`;

function wrapped(file) {
  const inner = (_, name) => wrapped(createRequire(file).resolve(name));
  const text = readFileSync(file, 'utf8').replace(/require\('([^']+)'\)/g, inner);
  return `(() => { const module = { exports: {} }; let { exports } = module;\n${text}\nreturn module.exports; })()`;
}

async function makeToken({ scope, ...config }) {
  if (!scope) return ai.authTokens.create({ config });
  const headers = { 'x-goog-api-key': process.env.GEMINI_API_KEY, 'content-type': 'application/json' };
  const body = JSON.stringify({ scope, ...config });
  return (await fetch(`${baseUrl}/v1alpha/auth_tokens`, { method: 'POST', headers, body })).json();
}

async function answer(path, body) {
  if (path === '/') return ['text/html', html];
  if (path in scripts) return ['text/javascript', scripts[path]()];
  if (path === '/token') return ['application/json', JSON.stringify(await makeToken(JSON.parse(body)))];
  if (path === '/check') {
    const { what, holds, shown } = JSON.parse(body);
    check(what, holds, shown);
    return ['application/json', '{}'];
  }
  if (path === '/over') {
    const { fault } = JSON.parse(body);
    check('the page comes to its end', !fault, fault);
    // Asked to go it tidies up, and so does this program when it is gone.
    child.kill();
    isOver = true;
    return ['application/json', '{}'];
  }
  return ['text/plain', ''];
}

const server = createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const [type, body] = await answer(request.url, Buffer.concat(chunks).toString());
  response.writeHead(200, { 'content-type': type, 'cache-control': 'no-store' }).end(body);
});

let child;
let isOver = false;

server.listen(0, '127.0.0.1', () => {
  // Without its sandbox, since root has none and the page is ours; without a keychain, which macOS would ask about.
  const flags = ['--headless', '--no-sandbox', '--no-first-run', '--disable-gpu', '--disable-dev-shm-usage'];
  flags.push('--disable-background-networking', '--disable-component-update', '--use-mock-keychain');
  flags.push(`--user-data-dir=${join(dirname(fileURLToPath(import.meta.url)), 'profile')}`);
  // One that came from a package brings libraries and fonts along, which the machine may lack.
  const beside = dirname(browser);
  const env = { ...process.env };
  if (existsSync(join(beside, 'al2023'))) {
    env.LD_LIBRARY_PATH = join(beside, 'al2023', 'lib');
    env.FONTCONFIG_PATH = join(beside, 'fonts');
  }
  const url = `http://127.0.0.1:${server.address().port}/`;
  child = spawn(browser, [...flags, url], { env, stdio: ['ignore', 'ignore', 'pipe'] });
  let complaint = '';
  child.stderr.on('data', (text) => (complaint = (complaint + text).slice(-4096)));
  child.on('error', (error) => check('the browser starts', false, String(error)));
  child.on('exit', (code) => (isOver ? process.exit(0) : check('the browser stays', false, `${code}: ${complaint}`)));
  setTimeout(() => check('the page comes to its end in time', false, complaint), TIME_MAX);
  process.on('exit', () => child.kill('SIGKILL'));
});
