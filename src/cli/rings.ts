/** `evenkeel rings suggest`: bounds for locality rings, from measured round trips. */
import { parseArgs } from 'node:util';
import { DEFAULT_MAX_RINGS, parseRtts, type SuggestedRings, suggestRings } from '../router/index.js';
import { type Command, misuse } from './command.js';

const MAX_FILE_BYTES = 64 * 1024 * 1024;

const HELP = `usage: evenkeel rings suggest --rtts FILE [options]

Suggests bounds of locality rings, in the widest gaps between the round trips.
FILE: lines 'from,to,ms' ('#' begins a comment, a first line may be a heading), a JSON array of { from, to, rttMs }, or a JSON
object { from: { to: ms } }.

  --rtts FILE   round trips measured
  --rings N     at most so many rings (default ${DEFAULT_MAX_RINGS})
  --json        as JSON, for the router's option 'rings'
  --help        this text`;

export const ringsCommand: Command = {
  name: 'rings',
  summary: 'suggest bounds of locality rings from measured round trips',
  help: HELP,
  async run(args, io) {
    const parsed = parse(args);
    if (parsed instanceof Error) return misuse(io, 'rings', parsed);
    const { file, rings, asJson } = parsed;
    try {
      const bytes = await io.runtime.host.readFile(file, MAX_FILE_BYTES);
      if (bytes === undefined) throw new Error(`there is no file ${file}`);
      const rtts = parseRtts(new TextDecoder().decode(bytes)).map(({ rttMs }) => rttMs);
      const suggested = suggestRings(rtts, { rings });
      if (asJson) io.out(JSON.stringify(suggested));
      else for (const line of picture(suggested)) io.out(line);
      return 0;
    } catch (error) {
      io.error(`evenkeel rings: ${error instanceof Error ? error.message : error}`);
      return 1;
    }
  },
};

function parse(args: readonly string[]): { file: string; rings: number; asJson: boolean } | Error {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: { rtts: { type: 'string' }, rings: { type: 'string' }, json: { type: 'boolean' } },
    });
    if (positionals.join(' ') !== 'suggest') return new Error(`'${positionals.join(' ')}' is unknown; expected 'suggest'`);
    if (values.rtts === undefined) return new Error('--rtts FILE is missing');
    return { file: values.rtts, rings: Number(values.rings ?? DEFAULT_MAX_RINGS), asJson: values.json === true };
  } catch (error) {
    return error as Error;
  }
}

const BAR_WIDTH = 40;

function picture({ boundsMs, rings }: SuggestedRings): string[] {
  const most = Math.max(...rings.map(({ count }) => count));
  const rows = rings.map(({ count, minMs, maxMs }, i) => {
    const bound = boundsMs[i] === undefined ? 'the rest' : `to ${boundsMs[i]} ms`;
    const bar = '#'.repeat(Math.max(1, Math.round((count / most) * BAR_WIDTH)));
    return `ring ${i}  ${bound.padEnd(12)} ${`${minMs} to ${maxMs} ms`.padEnd(20)} ${String(count).padStart(7)}  ${bar}`;
  });
  return [...rows, '', `rings: { boundsMs: [${boundsMs.join(', ')}] }`];
}
