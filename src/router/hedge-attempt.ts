/** The second attempt of a call whose first one is still at work: made only when it goes out. The call is its owner, and hears of all it hears. */
import type { CallContext } from '../core/call-context.js';
import type { CallSpan } from '../core/telemetry.js';
import type { CallRequest } from '../core/transport/call.js';
import { Attempt, type AttemptEngine, type AttemptOwner } from './attempt.js';
import type { Member } from './endpoint-table.js';
import type { Selecting } from './selection.js';

/** The call that it is for. */
export interface HedgedCall extends AttemptOwner {
  readonly weight: number;
  readonly context: CallContext | undefined;
  readonly deadline: number;
  readonly loadKey: string | undefined;
  readonly attempts: number;
  readonly span: CallSpan | undefined;
  readonly shard: string | undefined;
  readonly shardRole: 'any' | 'primary';
  readonly affinity: readonly string[] | undefined;
}

export class HedgeAttempt extends Attempt<AttemptEngine> implements Selecting {
  readonly owner: HedgedCall;

  constructor(engine: AttemptEngine, call: HedgedCall, now: number) {
    super(engine, call.weight, now);
    this.owner = call;
  }

  get deadline(): number {
    return this.owner.deadline;
  }

  get context(): CallContext | undefined {
    return this.owner.context;
  }

  /** It waits for nothing. */
  get queuedAt(): number {
    return this.now;
  }

  get loadKey(): string | undefined {
    return this.owner.loadKey;
  }

  get attempts(): number {
    return this.owner.attempts;
  }

  get span(): CallSpan | undefined {
    return this.owner.span;
  }

  get shard(): string | undefined {
    return this.owner.shard;
  }

  get shardRole(): 'any' | 'primary' {
    return this.owner.shardRole;
  }

  get affinity(): readonly string[] | undefined {
    return this.owner.affinity;
  }

  begin(member: Member, request: CallRequest): void {
    this.send(member, request);
  }

  override onDeadline(): void {
    if (this.isRunning) this.checkTimeouts(this.engine.now());
  }
}
