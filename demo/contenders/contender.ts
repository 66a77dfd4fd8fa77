/** What is compared: ways to send the same requests to the same eight servers. */
import type { Arrival } from '../workload/arrival.js';

export interface Contender {
  /** Sends one request and reads its answer to the end. Never rejects. */
  send(arrival: Arrival): Promise<Reply>;
  close(): Promise<void>;
}

export interface ContenderKind {
  /** For `--only`. */
  readonly name: string;
  readonly title: string;
  /** How it is set up, for the report. */
  readonly about: string;
  create(setup: ContenderSetup): Contender;
}

export interface ContenderSetup {
  readonly addresses: readonly string[];
  readonly timeoutMs: number;
  readonly seed: number;
}

export interface Reply {
  readonly outcome: 'ok' | 'error' | 'timeout';
  /** Which server answered; undefined when none did. */
  readonly server: number | undefined;
  /** Prompt and answer, as the server counted them. */
  readonly tokens: number;
  /** What went wrong, in a word: errors are counted by it. */
  readonly fault?: string;
}
