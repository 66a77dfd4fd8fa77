/**
 * Which process is this, and does another one still run? A process's number is given again after its end, so its start time, and
 * the boot it counts from, belong to its identity where the system tells them.
 */
import { readFileSync } from 'node:fs';

export interface ProcessIdentity {
  readonly pid: number;
  /** Differs between two processes of the same number. Undefined where the system does not tell. */
  readonly started: string | undefined;
}

/** Tests simulate dead and living owners with it. */
export interface ProcessTable {
  readonly self: ProcessIdentity;
  /** In doubt true: two owners would be worse than none. */
  isRunning(identity: ProcessIdentity): boolean;
}

/** The machine's. */
export function liveProcesses(): ProcessTable {
  return { self: { pid: process.pid, started: statusOf(process.pid)?.started }, isRunning };
}

function isRunning({ pid, started }: ProcessIdentity): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    // EPERM: it runs, as another user.
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
  }
  const status = statusOf(pid);
  if (status === undefined) return true;
  return !status.isZombie && (started === undefined || started === status.started);
}

/** Linux: state and start time are the 3rd and 22nd field of `stat`; the 2nd is a name in parentheses, which may hold anything. */
function statusOf(pid: number): { started: string; isZombie: boolean } | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
    return { started: `${boot} ${fields[19]}`, isZombie: fields[0] === 'Z' || fields[0] === 'X' };
  } catch {
    return undefined;
  }
}
