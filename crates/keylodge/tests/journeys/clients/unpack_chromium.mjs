// Unpacks the Chromium of a package, given as the first argument, into the folder that is the second: the package itself
// does so for one cloud only.

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const [packed, folder] = process.argv.slice(2);

// The package unpacks into the folder for what is temporary.
process.env.TMPDIR = folder;
const { inflate } = await import(pathToFileURL(join(packed, 'build', 'index.js')));
for (const name of ['chromium.br', 'al2023.tar.br', 'fonts.tar.br']) await inflate(join(packed, 'bin', name));
console.log(readdirSync(folder).join(' '));
