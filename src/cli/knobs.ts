/** `evenkeel knobs`: what is in force, what a flip would touch, and the flip itself, against a store on files or NATS. */
import { type Actuator, createActuator, type FlipOptions, type KnobChange } from '../knobs/index.js';
import { type Command, type CommandIo, misuse } from './command.js';
import { type KnobsArguments, parseKnobsArguments } from './knobs/arguments.js';
import { openStore } from './knobs/store.js';
import { historyLines, planLines, propagationLine, statusLines } from './knobs/tables.js';

const HELP = `usage: evenkeel knobs TASK --store FOLDER|nats://HOST:PORT [options]

  status                       what is in force, by whom and why, and how many instances report
  plan SCOPE LEVEL             what that would touch, and how much it is used
  plan KNOB on|off|DOSE
  set SCOPE LEVEL              SCOPE: all, service:NAME, product:NAME, feature:NAME; LEVEL: 3, 2, 1 (two people), or 4, normal
  set KNOB on|off|DOSE         KNOB: Product/Feature; DOSE: 0 to 255
  release SCOPE|KNOB|everything
  approve ID                   a level 1 that another proposed
  history                      who turned what, when and why, the newest first
  watch                        status, again whenever it changes, until Ctrl-C

  --store S         a folder of this machine, or servers of NATS, with commas between
  --bucket NAME     of the store on NATS (default knobs)
  --scope NAME      as createKnobs has it (default default)
  --actor NAME      who is turning (default $USER)
  --reason TEXT     why, with the number of the incident; 'set' and 'release' want one
  --ttl TIME        when it ends by itself: 500ms, 90s, 10m, 2h, 1d (default 60m; 0: never)
  --ramp TIME       over which instances let go, when it eases or ends (default 60s)
  --canary P%       first so many instances, for --canary-for TIME (default 30s), then all
  --requests P%     for so many requests, by their keys
  --expect N        only if the state is still of revision N, that of a plan
  --force           although instances disagree, or none knows the knob
  --break-glass     level 1 alone; the history tells
  --wait TIME       how long to watch it arrive (default 30s; 0: not at all)
  --limit N         entries of history (default 20)
  --json            one JSON value, for programs
  --help            this text`;

export const knobsCommand: Command = {
  name: 'knobs',
  summary: 'switch work off across a fleet: status, plan, set, release, approve, history, watch',
  help: HELP,
  async run(args, io) {
    let parsed: KnobsArguments;
    try {
      parsed = parseKnobsArguments(args);
    } catch (error) {
      return misuse(io, 'knobs', error);
    }
    try {
      const store = await openStore(parsed.store, parsed.bucket, io.runtime);
      try {
        return await perform(parsed, store.state, io);
      } finally {
        await store.close();
      }
    } catch (error) {
      io.error(`evenkeel knobs: ${error instanceof Error ? error.message : error}`);
      return 1;
    }
  },
};

async function perform(
  { actor, asJson, scope, task, waitMs }: KnobsArguments,
  state: Parameters<typeof createActuator>[0]['state'],
  io: CommandIo,
): Promise<number> {
  const { runtime } = io;
  const name = actor ?? runtime.host.env('USER') ?? 'unknown';
  const actuator = createActuator({ state, actor: name, runtime, ...(scope === undefined ? undefined : { scope }) });
  const say = (value: unknown, lines: readonly string[]) => {
    if (asJson) io.out(JSON.stringify(value));
    else for (const line of lines) io.out(line);
  };
  switch (task.type) {
    case 'status': {
      const status = await actuator.status();
      say(status, statusLines(status, runtime.clock.wallTime()));
      return 0;
    }
    case 'watch':
      return watch(actuator, io, asJson);
    case 'plan': {
      const plan = await actuator.plan(task.change);
      say(plan, planLines(plan));
      return 0;
    }
    case 'history': {
      const entries = await actuator.history({ limit: task.limit });
      say(entries, historyLines(entries));
      return 0;
    }
    case 'approve':
      return arrived(actuator, await actuator.approve(task.id), waitMs, asJson, io);
    case 'flip':
      return arrived(actuator, await flip(actuator, task.change, task.options), waitMs, asJson, io);
  }
}

function flip(actuator: Actuator, change: KnobChange, options: FlipOptions) {
  const { canary: _canary, ...release } = options;
  switch (change.type) {
    case 'level':
      return change.level === 4
        ? actuator.release({ scope: change.scope }, release)
        : actuator.setLevel(change.scope, change.level, options);
    case 'knob':
      return change.dose === undefined
        ? actuator.release({ knob: change.knob }, release)
        : actuator.set(change.knob, { ...change, dose: change.dose }, options);
    case 'release-all':
      return actuator.release('all', release);
  }
}

/** Tells what came of a flip, and watches it arrive. Exit code 3: not everywhere in time. */
async function arrived(
  actuator: Actuator,
  flipped: Awaited<ReturnType<Actuator['approve']>>,
  waitMs: number,
  asJson: boolean,
  io: CommandIo,
): Promise<number> {
  if (flipped.outcome === 'proposed') {
    if (asJson) io.out(JSON.stringify(flipped));
    else io.out(`proposed: a second person makes it with 'evenkeel knobs approve ${flipped.id}', within an hour`);
    return 0;
  }
  if (!asJson) io.out(`done: revision ${flipped.revision}, ${flipped.id}`);
  if (waitMs === 0) {
    if (asJson) io.out(JSON.stringify(flipped));
    return 0;
  }
  let last = '';
  const so = await actuator.propagation(flipped.revision, {
    withinMs: waitMs,
    onProgress(progress) {
      const line = propagationLine(progress);
      if (!asJson && line !== last) io.out(line);
      last = line;
    },
  });
  if (asJson) io.out(JSON.stringify({ ...flipped, propagation: so }));
  return so.applied === so.total ? 0 : 3;
}

const WATCH_EVERY_MS = 1000;

/** Until a signal ends it. */
async function watch(actuator: Actuator, io: CommandIo, asJson: boolean): Promise<number> {
  const stop = new AbortController();
  const ends = (['SIGINT', 'SIGTERM'] as const).map((signal) => io.onSignal(signal, () => stop.abort()));
  let last = '';
  try {
    while (!stop.signal.aborted) {
      const { uses: _uses, ...status } = await actuator.status();
      const text = JSON.stringify(status);
      if (text !== last) {
        if (asJson) io.out(text);
        else for (const line of [...statusLines(status, io.runtime.clock.wallTime()), '']) io.out(line);
      }
      last = text;
      await io.runtime.clock.sleep(WATCH_EVERY_MS, stop.signal, true).catch(() => {});
    }
  } finally {
    for (const end of ends) end();
  }
  return 0;
}
