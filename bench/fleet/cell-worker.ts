/** Runs cells of the fleet's table, one after the other, as its parent sends them. */
import { runFleet } from 'evenkeel/sim';
import type { Cell, CellResult } from './cells.js';
import { POLICIES, type Policy } from './policies.js';

process.on('message', async (cell: Cell) => {
  const policy: Policy = POLICIES[cell.policy];
  const before = process.cpuUsage();
  const fleet = await runFleet({
    seed: cell.seed,
    clients: cell.clients,
    utilization: cell.utilization,
    picker: policy.picker,
    loadSources: policy.loadSources?.(),
    declaresCapacity: policy.declaresCapacity,
  });
  const { user, system } = process.cpuUsage(before);
  const result: CellResult = { ...fleet, cpuUs: (user + system) / fleet.requests };
  process.send?.(result);
});
process.on('disconnect', () => process.exit());
process.send?.('ready');
