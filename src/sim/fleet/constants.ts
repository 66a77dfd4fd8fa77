/**
 * The fleet that routing is measured on, every figure of it.
 *
 * Not published by anyone, so declared here: the shape of Meta's ads inference (requests of tens of milliseconds, machines of several
 * generations, neighbours that take processors away), at a size that a benchmark runs in seconds.
 */
export const FLEET = {
  servers: 60,
  /** Of the machines, in turn. */
  speeds: [0.6, 1, 1.5],
  /** Processors of each. */
  slots: 8,
  /** Neighbours: there a quarter of the time, for half a second on average, and then they take this share of the processors. */
  antagonist: { onMs: 500, offMs: 1500, least: 0.3, most: 0.9 },
  /** Work of a request, log-normal: milliseconds of a processor of speed 1. */
  work: { meanMs: 20, sigma: 1 },
  /** One way. */
  networkMs: 0.2,
  /** An answer later than this is a timeout; the server works on, and the request is measured to its end. */
  timeoutMs: 400,
  /** Given up. */
  giveUpMs: 2000,
  warmUpMs: 3000,
  measureMs: 4000,
} as const;

/**
 * One slow server of 16, for hedging. Requests differ by less than in FLEET: where the tail is the requests' own work, a second attempt
 * takes as long as the first. Clients know only their own queues, since a router that compares latencies stays away from such a server.
 */
export const ONE_SLOW = {
  servers: 16,
  clients: 8,
  /** Of the slow one; the others have 1. */
  speed: 0.1,
  utilization: 0.5,
  workSigma: 0.75,
  measureMs: 10_000,
} as const;
