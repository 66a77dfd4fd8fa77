/** What load routes answer with: an ORCA report in TEXT or JSON, or vLLM's `{"server_load": n}`. */
import { checkNumber } from '../core/errors.js';
import type { LoadReport } from '../core/load-report.js';
import { decodeLoadHeader } from '../core/orca/header.js';

/** @throws {EvenkeelError} `invalid-argument` for what is none of these. */
export function parseLoadBody(body: string): LoadReport {
  const text = body.trim();
  if (text.startsWith('{') && text.includes('"server_load"')) {
    const { server_load: load } = JSON.parse(text) as { server_load?: unknown };
    return { namedMetrics: { host: checkNumber('server_load', load as number, 0) } };
  }
  return decodeLoadHeader(text);
}
