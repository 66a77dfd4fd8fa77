/** What an operator reads: rows of text, at most a screen wide where names allow. */
import type { HistoryEntry, KnobSnapshot, Plan, Propagation } from '../../knobs/index.js';

const BAR_WIDTH = 30;

export function statusLines(
  status: {
    revision: number;
    snapshot: KnobSnapshot;
    instances: number;
    disagreeing: readonly string[];
  },
  nowMs: number,
): string[] {
  const { disagreeing, instances, revision, snapshot } = status;
  const levels = snapshot.levels.filter(({ level }) => level < 4);
  const knobs = snapshot.knobs.filter(({ dose }) => dose !== undefined);
  const lines = [`revision ${revision}, ${count(instances, 'instance')}`];
  for (const service of disagreeing) lines.push(`! instances of ${service} do not agree on their knobs`);
  if (levels.length + knobs.length === 0) return [...lines, 'all is normal'];
  const rows = [
    ...levels.map(({ level, scope, ...flip }) => [scope, `level ${level}`, ...flipCells(flip, nowMs)]),
    ...knobs.map(({ dose, knob, ...flip }) => [knob, dose === 0 ? 'off' : `dose ${dose}`, ...flipCells(flip, nowMs)]),
  ];
  return [...lines, '', ...table(['what', 'stands at', 'by', 'since', 'for', 'why'], rows)];
}

export function planLines({ change, disagreeing, instances, knobs, needsApproval, revision }: Plan): string[] {
  const lines = [
    `${textOf(change)}: ${count(knobs.length, 'knob')} of ${count(instances, 'instance')}, from revision ${revision}`,
  ];
  for (const service of disagreeing) lines.push(`! instances of ${service} do not agree on their knobs: it takes --force`);
  if (needsApproval) lines.push('! level 1 takes a second person (approve), or --break-glass');
  if (knobs.length === 0) return lines;
  const rows = knobs.map((knob) => [
    knob.name,
    String(knob.level),
    knob.service,
    String(knob.instances),
    knob.checksPerSecond.toPrecision(3),
    knob.fullMs === null ? '-' : `${knob.fullMs.toPrecision(3)} ms`,
    knob.reducedMs === null ? 'never ran' : `${knob.reducedMs.toPrecision(3)} ms`,
    knob.declaredImpact === null ? '-' : `${(100 * knob.declaredImpact).toPrecision(2)} % (declared)`,
    knob.oncall,
  ]);
  return [
    ...lines,
    '',
    ...table(['knob', 'level', 'service', 'instances', 'checks/s', 'full', 'reduced', 'impact', 'on call'], rows),
  ];
}

export function historyLines(entries: readonly HistoryEntry[]): string[] {
  const rows = entries.map(({ actor, approvedBy, atMs, change, id, isBreakGlass, reason, ttlMs }) => [
    new Date(atMs).toISOString(),
    approvedBy === null ? actor : `${actor}, ${approvedBy}`,
    textOf(change) + (isBreakGlass ? ' (glass broken)' : ''),
    durationText(ttlMs),
    reason,
    id,
  ]);
  return rows.length === 0 ? ['nobody has turned anything'] : table(['when', 'who', 'what', 'for', 'why', 'id'], rows);
}

export function propagationLine({ applied, laggards, p50Ms, p99Ms, total }: Propagation): string {
  if (total === 0) return 'no instance reports';
  const done = Math.round((applied / total) * BAR_WIDTH);
  const times = Number.isNaN(p50Ms) ? '' : `  p50 ${p50Ms.toFixed(0)} ms, p99 ${p99Ms.toFixed(0)} ms`;
  const late = laggards.length === 0 || laggards.length > 5 ? '' : `  not yet: ${laggards.join(', ')}`;
  return `[${'#'.repeat(done).padEnd(BAR_WIDTH, '.')}] ${applied}/${total} have it${times}${late}`;
}

function textOf(change: HistoryEntry['change']): string {
  switch (change.type) {
    case 'level':
      return change.level === 4 ? `release ${change.scope}` : `${change.scope} to level ${change.level}`;
    case 'knob':
      if (change.dose === undefined) return `release ${change.knob}`;
      return `${change.knob} to ${change.dose === 0 ? 'off' : change.dose}${change.requests === undefined ? '' : ` for ${100 * change.requests} %`}`;
    case 'release-all':
      return 'release everything';
    case 'revert':
      return `take back ${change.of}`;
  }
}

/** By this machine's calendar, its time is over: instances say so by their own clocks. */
function flipCells(flip: { actor: string; atMs: number; reason: string; ttlMs: number }, nowMs: number): string[] {
  const { actor, atMs, reason, ttlMs } = flip;
  const isOver = ttlMs > 0 && atMs + ttlMs < nowMs;
  return [actor, new Date(atMs).toISOString(), durationText(ttlMs) + (isOver ? ' (over)' : ''), reason];
}

function durationText(ms: number): string {
  if (ms === 0) return 'ever';
  for (const [unit, length] of [
    ['h', 3_600_000],
    ['m', 60_000],
    ['s', 1000],
  ] as const)
    if (ms >= length && ms % length === 0) return `${ms / length}${unit}`;
  return `${ms}ms`;
}

function count(n: number, what: string): string {
  return `${n} ${what}${n === 1 ? '' : 's'}`;
}

function table(heads: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const all = [heads, ...rows];
  const widths = heads.map((_, i) => Math.max(...all.map((row) => (row[i] as string).length)));
  return all.map((row) =>
    row
      .map((cell, i) => cell.padEnd(widths[i] as number))
      .join('  ')
      .trimEnd(),
  );
}
