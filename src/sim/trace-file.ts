/**
 * Recorded arrivals: requests to language models, with their sizes in tokens and, where the trace has them, the prefixes they share.
 *
 * Two public forms are read: CSV with `TIMESTAMP,ContextTokens,GeneratedTokens` (Azure's), and lines of JSON with `timestamp`, `input_length`,
 * `output_length` and `hash_ids` (Mooncake's; one hash for 512 tokens, each with all before it).
 */
import { EvenkeelError } from '../core/errors.js';

export interface TracedRequest {
  /** Milliseconds after the first. */
  readonly atMs: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** Hashes of ever longer prefixes, as `affinity` of a call takes them. Empty: the trace has none. */
  readonly prefix: readonly string[];
}

/** @throws {EvenkeelError} `invalid-argument` naming the first line that is of neither form. */
export function parseTraceFile(text: string): TracedRequest[] {
  const lines = text.split(/\r?\n/);
  const isJson = text.trimStart().startsWith('{');
  const requests: TracedRequest[] = [];
  let first: number | undefined;
  for (const [index, line] of lines.entries()) {
    if (line.trim() === '' || (!isJson && index === 0 && /^[a-z]/i.test(line))) continue;
    const read = isJson ? readJson(line) : readCsv(line);
    if (read === undefined) throw malformed(index + 1, line);
    first ??= read.atMs;
    requests.push({ ...read, atMs: read.atMs - first });
  }
  return requests.sort((a, b) => a.atMs - b.atMs);
}

function readCsv(line: string): TracedRequest | undefined {
  const [stamp = '', input = '', output = ''] = line.split(',');
  // Seven digits behind the second are more than a date takes.
  const atMs = Date.parse(`${stamp.trim().replace(' ', 'T').slice(0, 23)}Z`);
  return checked({ atMs, inputTokens: Number(input || 'x'), outputTokens: Number(output || 'x'), prefix: [] });
}

function readJson(line: string): TracedRequest | undefined {
  try {
    const { timestamp, input_length, output_length, hash_ids = [] } = JSON.parse(line) as Record<string, unknown>;
    if (!Array.isArray(hash_ids)) return undefined;
    return checked({
      atMs: timestamp as number,
      inputTokens: input_length as number,
      outputTokens: output_length as number,
      prefix: hash_ids.map(String),
    });
  } catch {
    return undefined;
  }
}

function checked(request: TracedRequest): TracedRequest | undefined {
  const { atMs, inputTokens, outputTokens } = request;
  const areNumbers = Number.isFinite(atMs) && Number.isFinite(inputTokens) && Number.isFinite(outputTokens);
  return areNumbers && inputTokens >= 0 && outputTokens >= 0 ? request : undefined;
}

function malformed(line: number, text: string): EvenkeelError {
  return new EvenkeelError('invalid-argument', `line ${line} of the trace is '${text.slice(0, 80)}'; expected a request`, {
    details: { line },
  });
}
