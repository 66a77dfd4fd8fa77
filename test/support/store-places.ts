/** Places for a durable store: an empty folder, a server of NATS. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { natsMissing, natsServer } from './nats-server.js';

export interface StorePlace extends AsyncDisposable {
  /** For {@link durableStore}. */
  readonly address: string;
  /** Where it is one. */
  readonly folder?: string;
}

export async function filesPlace(): Promise<StorePlace> {
  const parent = mkdtempSync(join(tmpdir(), 'evenkeel-store-'));
  const folder = join(parent, 'store');
  return {
    folder,
    address: `files:${folder}`,
    [Symbol.asyncDispose]: async () => rmSync(parent, { recursive: true, force: true }),
  };
}

export async function natsPlace(): Promise<StorePlace> {
  const server = await natsServer();
  return { address: server.servers, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

export const storePlaces = [
  { name: 'files', isMissing: false, open: filesPlace },
  { name: 'nats', isMissing: natsMissing !== undefined, open: natsPlace },
] as const;
