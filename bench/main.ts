/** `npm run bench -- NAME`: runs one suite against its peers, prints its claims, exits 1 when one does not hold. */
import { writeFile } from 'node:fs/promises';
import { availableParallelism, cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { fleetSuite } from './fleet/suite.js';
import { limiterSuite } from './limiter/suite.js';
import { proxySuite } from './proxy/suite.js';
import { routerSuite } from './router/suite.js';
import type { Claim, Suite } from './support/claim.js';
import { formatClaim, formatHead } from './support/table.js';
import { versionsOf } from './support/versions.js';
import { transportsSuite } from './transports/suite.js';

const SUITES: readonly Suite[] = [routerSuite, transportsSuite, fleetSuite, proxySuite, limiterSuite];

const HELP = `usage: npm run bench -- NAME [options]

${SUITES.map(({ name, description }) => `  ${name.padEnd(12)} ${description}`).join('\n')}

  --only IDS    measure these claims only: R1,R4 (a beginning is enough)
  --json FILE   write machine, versions and claims as JSON
  --seed N      seed of arrivals and service times (default 1)
  --trace FILE  replays recorded requests as well, .gz or plain (fleet: F8)
  --help`;

const { values, positionals } = readArguments();
const suite = SUITES.find(({ name }) => name === positionals[0]);
if (values.help || suite === undefined) {
  if (!values.help && positionals[0] !== undefined) console.error(`no suite '${positionals[0]}'\n`);
  console.log(HELP);
  process.exit(values.help ? 0 : 2);
}
const seed = Number(values.seed ?? '1');
if (!Number.isSafeInteger(seed)) fail(`--seed is '${values.seed}'; expected a whole number`);

const claims: Claim[] = [];
const startedAt = performance.now();
console.log(formatHead());
await suite.run(
  { only: values.only?.split(',') ?? [], seed, trace: values.trace, say: (line) => console.error(line) },
  (claim) => {
    claims.push(claim);
    console.log(formatClaim(claim));
  },
);
const failed = claims.filter(({ holds, isInformation }) => !holds && !isInformation);
const seconds = Math.round((performance.now() - startedAt) / 1000);
console.log(`\n${claims.length} claims in ${seconds} s, ${failed.length} not held${failed.map(({ id }) => ` ${id}`).join('')}`);
if (values.json !== undefined) {
  const machine = {
    processor: cpus()[0]?.model ?? 'unknown',
    processors: availableParallelism(),
    platform: `${process.platform} ${process.arch}`,
  };
  await writeFile(values.json, `${JSON.stringify({ machine, versions: versionsOf(), claims }, null, 2)}\n`);
}
process.exitCode = failed.length > 0 ? 1 : 0;

function readArguments() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        only: { type: 'string' },
        json: { type: 'string' },
        seed: { type: 'string' },
        trace: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    });
  } catch (error) {
    return fail(error instanceof Error ? error.message : String(error));
  }
}

function fail(message: string): never {
  console.error(`${message}\n\n${HELP}`);
  process.exit(2);
}
