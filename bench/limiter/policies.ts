/** What stands before the server, by name. */
import { fixedLimit, gradientLimit } from 'evenkeel/limiter';
import { type Admission, limiterAdmission, type OverloadServer } from 'evenkeel/sim';
import { codelLifo, envoyGradient, fixedPeer, gateOf, netflixAimd, netflixGradient2, netflixVegas } from './peer-limits.js';

export type PolicyName = keyof typeof POLICIES;

/** Static, at one and a half times the slots, which it is told. */
const oracle = (server: OverloadServer) => gateOf(() => fixedPeer(Math.max(2, Math.round(1.5 * server.slots))))(server);

export const POLICIES = {
  limiter: limiterAdmission(),
  'limiter from 1': limiterAdmission({ limit: gradientLimit({ initial: 1 }) }),
  'limiter from 200': limiterAdmission({ limit: gradientLimit({ initial: 200 }) }),
  'limiter, fixed': (server) => limiterAdmission({ limit: fixedLimit(server.slots) })(server),
  oracle,
  none: () => ({ arrive: (arrival) => arrival.serve(() => {}) }),
  aimd: gateOf(netflixAimd),
  vegas: (server) => gateOf(() => netflixVegas(() => server.simulation.random.fork('vegas').next()))(server),
  gradient2: gateOf(() => netflixGradient2(20)),
  'gradient2 min 1': gateOf(() => netflixGradient2(1)),
  envoy: gateOf(envoyGradient),
  codel: codelLifo,
} satisfies Record<string, (server: OverloadServer) => Admission>;

export const PEERS: readonly { readonly policy: PolicyName; readonly settings: string }[] = [
  { policy: 'aimd', settings: 'Netflix AIMDLimit: 20 to 200, back-off 0.9, timeout 5 s' },
  { policy: 'vegas', settings: 'Netflix VegasLimit: from 20, at most 1000, alpha 3 and beta 6 log10' },
  { policy: 'gradient2', settings: 'Netflix Gradient2Limit in WindowedLimit: 20 to 200, tolerance 1.5, 1 s' },
  { policy: 'gradient2 min 1', settings: 'the same with a minimum of 1' },
  { policy: 'envoy', settings: 'Envoy gradient: 100 ms, p50, buffer 25 %, minRTT at 3 every 60 s' },
];
