/**
 * undici's RoundRobinPool knows one origin: it takes turns among the connections to it, and its docs leave it to a load balancer
 * behind that origin to spread the connections over the servers. `connect` stands in for that balancer, as a Kubernetes Service in
 * front of eight pods would act: each new connection goes to the next server.
 */
import { buildConnector, RoundRobinPool } from 'undici';
import { sendByUndici } from './by-undici.js';
import type { ContenderKind } from './contender.js';

/** The name of the Service; never resolved, because `connect` decides. */
const ORIGIN = 'http://servers.demo.internal';

export const roundRobinPool: ContenderKind = {
  name: 'round-robin-pool',
  title: 'undici RoundRobinPool',
  about: 'one origin, connections spread over the servers in turn as by a Kubernetes Service, requests in turn over connections',
  create({ addresses, timeoutMs }) {
    const connectTcp = buildConnector({ timeout: timeoutMs });
    let next = 0;
    const pool = new RoundRobinPool(ORIGIN, {
      connect: (options, callback) => {
        const { hostname, port } = new URL(addresses[next++ % addresses.length] ?? ORIGIN);
        connectTcp({ ...options, hostname, port }, callback);
      },
    });
    return {
      send: (arrival) => sendByUndici(pool, ORIGIN, arrival, timeoutMs),
      close: () => pool.destroy(),
    };
  },
};
