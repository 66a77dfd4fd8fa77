/** A server in a process of its own, which announces itself and ends with its parent. */
import { announce } from 'evenkeel/core';
import { createHttpTransport } from 'evenkeel/http';
import * as undici from 'undici';
import { sharedState } from './shared-state.js';

const transport = createHttpTransport({ undici });
const { address } = await transport.serve({ address: 'http://127.0.0.1:0' }, () => ({ status: 200, body: `${process.pid}` }));
announce({ state: sharedState(process.argv[2] ?? ''), service: 'search', endpoint: address, leaseMs: 500 });
process.on('disconnect', () => process.exit());
