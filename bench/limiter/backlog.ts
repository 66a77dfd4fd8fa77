/**
 * One slot and a backlog of constant size: each call that gets the slot submits another, so that one operation is one submission
 * and one grant. Between blocks the slot is held, and all others wait.
 */
export type Submit = (work: () => Promise<void>, index: number) => void;

export class Backlog {
  readonly #submit: Submit;
  #index = 0;
  #left = 0;
  #onPause: (() => void) | undefined;
  #resume: (() => void) | undefined;

  /** Resolves when `waiting` calls wait for the slot. */
  static async of(waiting: number, submit: Submit): Promise<Backlog> {
    const backlog = new Backlog(submit);
    const paused = backlog.#paused();
    for (let i = 0; i <= waiting; i++) submit(backlog.#work, backlog.#index++);
    await paused;
    return backlog;
  }

  private constructor(submit: Submit) {
    this.#submit = submit;
  }

  async run(operations: number): Promise<void> {
    this.#left = operations;
    const paused = this.#paused();
    this.#resume?.();
    await paused;
  }

  #paused(): Promise<void> {
    return new Promise((resolve) => {
      this.#onPause = resolve;
    });
  }

  readonly #work = (): Promise<void> => {
    if (this.#left === 0) {
      return new Promise((resolve) => {
        this.#resume = resolve;
        this.#onPause?.();
      });
    }
    this.#left--;
    this.#submit(this.#work, this.#index++);
    return DONE;
  };
}

const DONE = Promise.resolve();
