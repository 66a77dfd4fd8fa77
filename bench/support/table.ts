/** One line a claim. */
import type { Claim } from './claim.js';

const WIDTHS = { id: 44, measured: 32, bar: 28 } as const;

export function formatHead(): string {
  return `      ${'id'.padEnd(WIDTHS.id)}${'measured'.padEnd(WIDTHS.measured)}${'bar'.padEnd(WIDTHS.bar)}claim`;
}

export function formatClaim(claim: Claim): string {
  const { id, measured, unit, low, high, bar, holds, isInformation, note, peers = [] } = claim;
  const mark = isInformation ? '  ' : holds ? 'ok' : 'NO';
  const range = low === undefined || high === undefined ? '' : ` [${short(low)}, ${short(high)}]`;
  const value = measured === undefined ? 'not measured' : `${short(measured)}${unit === 'x' ? 'x' : ` ${unit}`}${range}`;
  const lines = [`  ${mark}  ${id.padEnd(WIDTHS.id)}${value.padEnd(WIDTHS.measured)}${bar.padEnd(WIDTHS.bar)}${claim.claim}`];
  for (const peer of peers) lines.push(`        ${peer.name} ${peer.version}: ${peer.measured} (${peer.settings})`);
  if (note !== undefined) lines.push(`        ${note}`);
  return lines.join('\n');
}

function short(value: number): string {
  return Math.abs(value) >= 100 ? value.toFixed(0) : Math.abs(value) >= 10 ? value.toFixed(1) : value.toFixed(3);
}
