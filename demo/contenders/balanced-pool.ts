/** undici's BalancedPool over the eight servers, with its defaults: turns by weight, and weights that fall with connection errors. */
import { BalancedPool } from 'undici';
import { sendByUndici } from './by-undici.js';
import type { ContenderKind } from './contender.js';

export const balancedPool: ContenderKind = {
  name: 'balanced-pool',
  title: 'undici BalancedPool',
  about: 'eight upstreams, default options',
  create({ addresses, timeoutMs }) {
    const pool = new BalancedPool([...addresses]);
    return {
      send: (arrival) => sendByUndici(pool, addresses[0] ?? '', arrival, timeoutMs),
      close: () => pool.destroy(),
    };
  },
};
