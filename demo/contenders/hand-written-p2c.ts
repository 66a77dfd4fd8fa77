/**
 * What a careful Node developer writes today: of two random servers the one with fewer of our requests in flight, and none that
 * just failed to answer. Without the second rule a dead server, never busy, would draw the requests.
 */
import { type Random, seededRandom } from 'evenkeel/core';
import { Pool } from 'undici';
import { sendByUndici } from './by-undici.js';
import type { ContenderKind, Reply } from './contender.js';

const AVOID_MS = 1000;

interface Server {
  readonly pool: Pool;
  readonly address: string;
  inFlight: number;
  avoidUntilMs: number;
}

export const handWrittenP2c: ContenderKind = {
  name: 'p2c',
  title: 'hand-written P2C',
  about: `eight undici Pools, the less busy of two random ones by own requests in flight, ${AVOID_MS} ms rest after a failure`,
  create({ addresses, timeoutMs, seed }) {
    const random = seededRandom(seed).fork('p2c');
    const servers = addresses.map((address): Server => ({ pool: new Pool(address), address, inFlight: 0, avoidUntilMs: 0 }));
    return {
      send: async (arrival) => {
        const server = choose(servers, random);
        server.inFlight++;
        const reply = await sendByUndici(server.pool, server.address, arrival, timeoutMs);
        server.inFlight--;
        if (isServersFault(reply)) server.avoidUntilMs = performance.now() + AVOID_MS;
        return reply;
      },
      close: async () => {
        await Promise.all(servers.map(({ pool }) => pool.destroy()));
      },
    };
  },
};

/** A full queue or a slow answer is no reason to stay away: the count tells that already. */
function isServersFault({ outcome, fault }: Reply): boolean {
  return outcome === 'error' && fault !== 'status 503';
}

function choose(servers: readonly Server[], random: Random): Server {
  const now = performance.now();
  const usable = servers.filter(({ avoidUntilMs }) => avoidUntilMs <= now);
  const among = usable.length > 1 ? usable : servers;
  const first = random.int(among.length);
  const second = (first + 1 + random.int(among.length - 1)) % among.length;
  const a = among[first] as Server;
  const b = among[second] as Server;
  return b.inFlight < a.inFlight ? b : a;
}
