/** Two contenders for one job; the second leads when the first gives up, and what the first would still write does not land. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { campaign, getFenced, putFenced, type Term } from 'evenkeel/core';
import { createFileState } from 'evenkeel/files';

const service = setInterval(() => {}, 1000); // a server that listens: contenders alone do not hold a process
const folder = mkdtempSync(`${tmpdir()}/evenkeel-`);
const state = createFileState({ folder }); // contenders in other processes open the same folder
const contend = (name: string) => campaign({ state, key: 'leader', leaseMs: 600, name });
const elected = (of: ReturnType<typeof contend>) => new Promise<Term>((resolve) => of.events.once('elected', resolve));

const first = contend('first');
const old = await elected(first);
await putFenced(state, 'job', { by: 'first' }, old.token);
const second = contend('second');
await first.close();
const now = await elected(second);
await putFenced(state, 'job', { by: 'second' }, now.token);
const late = await putFenced(state, 'job', { by: 'first, too late' }, old.token).catch(({ code }) => code);
if (late !== 'aborted' || (await getFenced(state, 'job'))?.value.by !== 'second') throw new Error('the old term wrote');
console.log(`terms ${old.token} and ${now.token}; a write of the old one: ${late}`);
await second.close().then(() => state.close());
rmSync(folder, { recursive: true });
clearInterval(service);
