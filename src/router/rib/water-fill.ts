/**
 * Puts the work of client localities on server localities, nearest ring first.
 *
 * Who comes first where two want the same room? Whoever is nearer: all first rings are served before any second one. Within a ring
 * each client offers its work in proportion to the room that is left, and a locality that is offered too much takes the same share of
 * each offer. So the result changes smoothly with its input: there is no edge over which a little noise tips much traffic.
 */

export interface FillProblem {
  readonly clients: number;
  readonly servers: number;
  readonly rings: number;
  /** `ringOf[client * servers + server]`. */
  readonly ringOf: Uint8Array;
  /** Work of each client, above 0. */
  readonly demand: Float64Array;
}

export interface Fill {
  /** `placed[client * servers + server]`: work. */
  readonly placed: Float64Array;
  /** Per client: work that found no room anywhere. */
  readonly left: Float64Array;
  /** Per server: 1 where a client went on to an outer ring for want of room here. */
  readonly contested: Uint8Array;
}

/** Of a locality's whole room: what is less is rounding. */
const ROUNDING = 1e-9;

export function emptyFill({ clients, servers, demand }: FillProblem): Fill {
  return { placed: new Float64Array(clients * servers), left: demand.slice(), contested: new Uint8Array(servers) };
}

/** Goes on with `fill`, up to `limits` of work per server, whatever is there already included. */
export function fillUpTo(problem: FillProblem, limits: Float64Array, fill: Fill): void {
  const { clients, servers, rings, ringOf, demand } = problem;
  const room = limits.slice();
  for (let i = 0; i < fill.placed.length; i++) (room[i % servers] as number) -= fill.placed[i] as number;
  for (let s = 0; s < servers; s++) if ((room[s] as number) <= (limits[s] as number) * ROUNDING) room[s] = 0;
  const offers = new Float64Array(clients * servers);
  const wanted = new Float64Array(servers);
  for (let ring = 0; ring < rings; ring++) {
    // Each round either places everything or fills a locality for good.
    for (let round = 0; round <= servers; round++) if (!offerRound(ring)) break;
    for (let c = 0; c < clients; c++) {
      if ((fill.left[c] as number) <= (demand[c] as number) * ROUNDING) continue;
      for (let s = 0; s < servers; s++) {
        if (ringOf[c * servers + s] === ring && (limits[s] as number) > 0) fill.contested[s] = 1;
      }
    }
  }

  /** False when nothing more can be placed in `ring`. */
  function offerRound(ring: number): boolean {
    wanted.fill(0);
    let offered = false;
    for (let c = 0; c < clients; c++) {
      const rest = fill.left[c] as number;
      let roomOfRing = 0;
      for (let s = 0; s < servers; s++) if (ringOf[c * servers + s] === ring) roomOfRing += room[s] as number;
      const isOffering = roomOfRing > 0 && rest > (demand[c] as number) * ROUNDING;
      offered ||= isOffering;
      for (let s = 0; s < servers; s++) {
        const isHere = isOffering && ringOf[c * servers + s] === ring;
        const offer = isHere ? (rest * (room[s] as number)) / roomOfRing : 0;
        offers[c * servers + s] = offer;
        (wanted[s] as number) += offer;
      }
    }
    if (!offered) return false;
    for (let s = 0; s < servers; s++) {
      const want = wanted[s] as number;
      if (want === 0) continue;
      const isOver = want >= (room[s] as number);
      const accepted = isOver ? (room[s] as number) / want : 1;
      for (let c = 0; c < clients; c++) {
        const work = (offers[c * servers + s] as number) * accepted;
        (fill.placed[c * servers + s] as number) += work;
        fill.left[c] = Math.max(0, (fill.left[c] as number) - work);
      }
      room[s] = isOver ? 0 : (room[s] as number) - want;
    }
    return true;
  }
}

/** Spreads what found no room over all servers by `weights`; with everything full, that is the same utilisation everywhere. */
export function spreadRest({ clients, servers }: FillProblem, weights: Float64Array, fill: Fill): void {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  if (total === 0) return;
  for (let c = 0; c < clients; c++) {
    const rest = fill.left[c] as number;
    if (rest === 0) continue;
    for (let s = 0; s < servers; s++) (fill.placed[c * servers + s] as number) += (rest * (weights[s] as number)) / total;
    fill.left[c] = 0;
  }
}
