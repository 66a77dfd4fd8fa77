/** What is shown while it runs: one line that is drawn over on a terminal, a plain line now and then elsewhere. */

export interface ProgressOutput {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

/** With the longest title the line fits into 80 columns. */
const BAR_CELLS = 16;
/** Plain lines at these shares of a contender's turn. */
const PLAIN_STEPS = 4;
const CLEAR_LINE = '\r\x1b[2K';

export class Progress {
  readonly #output: ProgressOutput;
  readonly #turns: number;
  readonly #turnMs: number;
  #turn = 0;
  #title = '';
  #plainStep = 0;

  /** @param turnMs - Milliseconds of arrivals in each turn. */
  constructor(output: ProgressOutput, turns: number, turnMs: number) {
    this.#output = output;
    this.#turns = turns;
    this.#turnMs = turnMs;
  }

  begin(title: string): void {
    this.#turn++;
    this.#title = title;
    this.#plainStep = 0;
    if (!this.#output.isTTY) this.#output.write(`[${this.#turn}/${this.#turns}] ${title}: starting eight servers\n`);
    else this.update(0, 0);
  }

  update(elapsedMs: number, answered: number): void {
    const share = Math.min(1, elapsedMs / this.#turnMs);
    const head = `[${this.#turn}/${this.#turns}] ${this.#title}`;
    const isDraining = elapsedMs >= this.#turnMs;
    const tail = `${answered} answered, ${isDraining ? 'finishing' : `${this.#secondsLeft(share)} s left`}`;
    if (this.#output.isTTY) {
      const line = `${head} ${bar(share)} ${tail}`;
      // A line that wraps could not be drawn over.
      this.#output.write(CLEAR_LINE + line.slice(0, (this.#output.columns ?? 80) - 1));
    } else if (share * PLAIN_STEPS >= this.#plainStep + 1) {
      this.#plainStep = Math.floor(share * PLAIN_STEPS);
      this.#output.write(`${head}: ${Math.round(share * 100)} %, ${tail}\n`);
    }
  }

  /** Leaves `text` behind as a line of its own. */
  end(text: string): void {
    this.#output.write(`${this.#output.isTTY ? CLEAR_LINE : ''}[${this.#turn}/${this.#turns}] ${this.#title}: ${text}\n`);
  }

  /** The line is not needed any more; the next output begins on a clean one. */
  clear(): void {
    if (this.#output.isTTY) this.#output.write(CLEAR_LINE);
  }

  /** Of all turns, without the waits for the last answers. */
  #secondsLeft(share: number): number {
    return Math.ceil(((this.#turns - this.#turn + 1 - share) * this.#turnMs) / 1000);
  }
}

function bar(share: number): string {
  const full = Math.round(share * BAR_CELLS);
  return '█'.repeat(full) + '░'.repeat(BAR_CELLS - full);
}
