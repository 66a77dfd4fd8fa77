/** Ties a share of a quota to the gate that lives on it. */
import type { EventSource } from '../core/events.js';
import type { LimiterCore } from './limiter-core.js';
import type { LimiterEvents } from './limiter-events.js';
import type { SharedLimit } from './limits/shared.js';
import { QuotaShare } from './quota-share.js';
import { ShareDemand } from './share-demand.js';
import type { ShareSettings } from './share-options.js';

export function startShare(
  settings: ShareSettings,
  limit: SharedLimit,
  { events, gate, runtime }: Pick<LimiterCore, 'gate' | 'runtime'> & { events: EventSource<LimiterEvents> },
): QuotaShare {
  const demand = new ShareDemand(gate, runtime.clock);
  const share: QuotaShare = new QuotaShare(settings, runtime, {
    demand: () => demand.sample(),
    weight: () => gate.weight,
    onShare: (units) => gate.setLimit(limit.share(units), 'share'),
    onState: (state) => {
      if (events.has('share')) events.emit('share', { state, share: share.snapshot().share });
    },
  });
  share.start();
  return share;
}
