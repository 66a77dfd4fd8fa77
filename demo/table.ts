/** The result on the terminal. */
import { formatCount, formatMs, formatPercent } from './format.js';
import type { ServerRole } from './parameters.js';
import type { ContenderResult } from './result.js';

const HEAD = ['', 'p50', 'p99', 'p99.9', 'errors', 'timeouts', 'tokens/s'];

export function renderTable(results: readonly ContenderResult[]): string {
  const rows = results.map((result) => [
    result.title,
    formatMs(result.p50Ms),
    formatMs(result.p99Ms),
    formatMs(result.p999Ms),
    formatCount(result.errors),
    formatCount(result.timeouts),
    formatCount(result.tokensPerSecond),
  ]);
  return align([HEAD, ...rows]);
}

/** Of the answered requests, and of the slowest hundredth of them, how many each server answered. */
export function renderShares(results: readonly ContenderResult[], roles: readonly ServerRole[]): string {
  const servers = roles.map((role, server) => (role === 'steady' ? `${server}` : `${server} ${role}`));
  return [
    align([['answered by', ...servers], ...results.map(({ title, share }) => [title, ...share.map(formatPercent)])]),
    align([['slowest 1 % by', ...servers], ...results.map(({ title, slowest }) => [title, ...slowest.map(formatPercent)])]),
  ].join('\n\n');
}

/** First column to the left, figures to the right. */
function align(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)));
  return rows
    .map((row) =>
      row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0))).join('  '),
    )
    .map((line) => line.trimEnd())
    .join('\n');
}
