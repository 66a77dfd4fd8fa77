/**
 * One process owns a queue's folder at a time. Node has no file locks; a file `owner-<generation>` names the owner.
 *
 * Can two own it at once? Whoever wants it links its file onto the generation after the newest, and only then looks who else is
 * there: of two that come at the same time at least one sees the other, and gives way. Files of dead owners are removed before the
 * log is read. So whoever sees its own file still there after a write knows that nobody has read the log before that write.
 *
 * An owner in another container, whose processes cannot be seen from here, looks dead. It then finds its file gone, acknowledges
 * nothing more and writes nothing more.
 */
import { join } from 'node:path';
import { EvenkeelError } from '../../core/errors.js';
import { type Random, randomId } from '../../core/random.js';
import { readFile, systemCode, unlinkIfThere, writeNewFile } from './file-steps.js';
import type { FileSystem } from './file-system.js';
import type { ProcessIdentity, ProcessTable } from './queue-process.js';

const OWNER = /^owner-(\d{1,15})$/;
const MAX_OWNER_BYTES = 4096;
/** Races lost in a row without a winner to be seen. */
const MAX_TRIES = 100;

interface Claim {
  readonly name: string;
  readonly generation: number;
  /** Undefined: cut short by a crash of the machine, which no process outlived. */
  readonly owner: (ProcessIdentity & { readonly token: string }) | undefined;
}

/** Who asks for a folder. */
export interface Claimant {
  readonly processes: ProcessTable;
  /** Its own. By it a store knows the file that it could not remove itself. */
  readonly token: string;
}

export class QueueOwner {
  readonly #fs: FileSystem;
  readonly #path: string;

  private constructor(fs: FileSystem, path: string) {
    this.#fs = fs;
    this.#path = path;
  }

  /** @throws {EvenkeelError} `failed-precondition` naming the process that owns the folder. */
  static async take(fs: FileSystem, folder: string, claimant: Claimant, random: Random): Promise<QueueOwner> {
    const temporary = join(folder, `.${randomId(random)}.tmp`);
    const content = Buffer.from(`${JSON.stringify({ ...claimant.processes.self, token: claimant.token })}\n`);
    try {
      const file = await writeNewFile(fs, temporary, content);
      await file.close();
      for (let tries = 0; tries < MAX_TRIES; tries++) {
        const before = await claimsIn(fs, folder);
        refuseLiving(before, claimant, folder);
        const generation = 1 + Math.max(0, ...before.map((claim) => claim.generation));
        const name = `owner-${generation}`;
        const path = join(folder, name);
        if (!(await isLinked(fs, temporary, path))) continue;
        try {
          const others = (await claimsIn(fs, folder)).filter((claim) => claim.name !== name);
          refuseLiving(others, claimant, folder);
          for (const other of others) await unlinkIfThere(fs, join(folder, other.name));
        } catch (error) {
          await unlinkIfThere(fs, path).catch(() => {});
          throw error;
        }
        return new QueueOwner(fs, path);
      }
    } finally {
      await unlinkIfThere(fs, temporary).catch(() => {});
    }
    throw new EvenkeelError('unavailable', `${folder} changes its owner all the time`, { retryable: 'yes' });
  }

  /** @throws {EvenkeelError} `failed-precondition` when another process has taken the folder. */
  async check(): Promise<void> {
    if (!(await this.#fs.exists(this.#path))) throw lostOwnership(this.#path);
  }

  async release(): Promise<void> {
    await unlinkIfThere(this.#fs, this.#path);
  }
}

export function lostOwnership(path: string): EvenkeelError {
  return new EvenkeelError('failed-precondition', `the queue has another owner now, by ${path}`, {
    retryable: 'unknown',
    details: { path },
  });
}

async function claimsIn(fs: FileSystem, folder: string): Promise<Claim[]> {
  const claims: Claim[] = [];
  for (const { name } of await fs.readdir(folder)) {
    const [, generation] = OWNER.exec(name) ?? [];
    if (generation === undefined) continue;
    const bytes = await readFile(fs, join(folder, name), MAX_OWNER_BYTES);
    // Gone since it was listed: its owner has closed.
    if (bytes !== undefined) claims.push({ name, generation: Number(generation), owner: parse(bytes) });
  }
  return claims;
}

function parse(bytes: Uint8Array): Claim['owner'] {
  try {
    const { pid, started, token } = JSON.parse(Buffer.from(bytes).toString());
    if (!Number.isSafeInteger(pid) || pid < 1) return undefined;
    return { pid, started: typeof started === 'string' ? started : undefined, token: String(token) };
  } catch {
    return undefined;
  }
}

/** This process counts as any other: the file is that of another store in it. */
function refuseLiving(claims: readonly Claim[], { processes, token }: Claimant, folder: string): void {
  for (const { owner } of claims) {
    if (owner === undefined || owner.token === token || !processes.isRunning(owner)) continue;
    const who = owner.pid === processes.self.pid ? `another store of this process (${owner.pid})` : `process ${owner.pid}`;
    throw new EvenkeelError('failed-precondition', `${folder} is in use by ${who}`, { details: { folder, pid: owner.pid } });
  }
}

/** False: lost the race for the name, or the winner has cleared our temporary file away. */
async function isLinked(fs: FileSystem, from: string, to: string): Promise<boolean> {
  try {
    await fs.link(from, to);
    return true;
  } catch (error) {
    const code = systemCode(error);
    if (code === 'EEXIST' || code === 'ENOENT') return false;
    throw error;
  }
}
