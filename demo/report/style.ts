/** Colours of Okabe and Ito, which the colour-blind can tell apart; the last contender, ours, has the strongest. */
export const STYLE = `
:root { color-scheme: light dark; --bg: #fbfbfa; --card: #fff; --text: #1c2024; --muted: #667078; --line: #e2e5e8; --mark: #b4232a;
  --c0: #cc79a7; --c1: #d98700; --c2: #3a94cc; --c3: #00805d; --steady: #9fb4c4; --slow: #d98700; --degrades: #cc79a7; --dies: #b4232a; }
@media (prefers-color-scheme: dark) { :root { --bg: #14171a; --card: #1c2024; --text: #e8ebee; --muted: #98a2ab; --line: #32383e;
  --mark: #ff7a7f; --c0: #df9dc2; --c1: #f0ab3c; --c2: #6cbcee; --c3: #2fcf9f; --steady: #5f7586; --slow: #f0ab3c; --degrades: #df9dc2;
  --dies: #ff7a7f; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--bg); color: var(--text); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 1040px; margin: 0 auto; padding: 24px 16px 48px; }
h1 { font-size: 26px; line-height: 1.2; margin: 0 0 4px; }
h2 { font-size: 19px; margin: 36px 0 4px; }
h3 { font-size: 15px; margin: 20px 0 8px; }
p { margin: 4px 0 12px; max-width: 75ch; }
.muted { color: var(--muted); }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(220px, 1fr)); gap: 12px; margin: 20px 0; }
.card, .panel { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 14px 16px; }
.card b { display: block; font-size: 28px; line-height: 1.2; font-variant-numeric: tabular-nums; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: 7px 10px; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th { color: var(--muted); font-weight: 500; font-size: 14px; }
th:first-child, td:first-child { text-align: left; }
tr:last-child td { border-bottom: 0; }
tr.ours td { font-weight: 600; }
.key { display: inline-block; width: 10px; height: 10px; border-radius: 3px; margin-right: 7px; }
.legend { display: flex; flex-wrap: wrap; gap: 4px 18px; font-size: 14px; color: var(--muted); max-width: none; }
.plot { margin: 8px 0 0; padding: 0 0 0 52px; }
.box { position: relative; height: 320px; margin-bottom: 26px; }
.box svg { width: 100%; height: 100%; display: block; overflow: visible; }
.grid { stroke: var(--line); stroke-width: 1; vector-effect: non-scaling-stroke; }
.line { fill: none; stroke-width: 2.25; stroke-linejoin: round; vector-effect: non-scaling-stroke; }
.line.thin { stroke-width: 1.25; }
.area { opacity: .22; }
.x-tick, .y-tick { position: absolute; font-size: 12px; color: var(--muted); white-space: nowrap; font-variant-numeric: tabular-nums; }
.x-tick { top: 100%; padding-top: 5px; transform: translateX(-50%); }
.y-tick { right: 100%; padding-right: 7px; transform: translateY(50%); }
.x-label, .y-label { font-size: 12px; color: var(--muted); }
.x-label { text-align: right; }
.y-label { margin-left: -44px; padding-bottom: 8px; }
.sparks { display: grid; grid-template-columns: repeat(auto-fill, minmax(220px, 1fr)); gap: 10px; }
.spark { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 7px 9px 9px; min-width: 0; }
.spark-head { white-space: nowrap; display: flex; justify-content: space-between; gap: 8px; font-size: 12.5px; padding-bottom: 5px; }
.spark-box { position: relative; height: 64px; border-bottom: 1px solid var(--line); overflow: hidden; }
.spark-box svg { width: 100%; height: 100%; display: block; }
.spark-most { position: absolute; left: 0; top: 0; font-size: 10.5px; color: var(--muted); }
.mark { stroke: var(--mark); stroke-width: 1; stroke-dasharray: 3 3; vector-effect: non-scaling-stroke; }
.mark-label { position: absolute; top: 0; padding-left: 3px; font-size: 10.5px; color: var(--mark); }
.mark-label.row1 { top: 12px; }
.share-title { font-size: 14px; margin-top: 10px; }
.share { display: flex; height: 22px; gap: 2px; }
.share span { flex-basis: 0; min-width: 0; border-radius: 2px; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 5px 18px; margin: 8px 0; }
dt { color: var(--muted); }
dd { margin: 0; min-width: 0; overflow-wrap: anywhere; }
${[0, 1, 2, 3].map((index) => `.c${index} { stroke: var(--c${index}); } .f${index} { fill: var(--c${index}); } .k${index} { background: var(--c${index}); }`).join('\n')}
${['steady', 'slow', 'degrades', 'dies'].map((role) => `.role-${role} { background: var(--${role}); }`).join('\n')}
@media (max-width: 560px) { .sparks { grid-template-columns: repeat(2, 1fr); gap: 8px; } .box { height: 260px; } dl { grid-template-columns: 1fr; gap: 0; }
  dd { margin-bottom: 8px; } .spark-head { flex-direction: column; gap: 0; } .x-tick.minor { display: none; }
  .panel { padding: 12px; } .plot { padding-left: 44px; } .y-label { margin-left: -40px; } th, td { padding: 7px 6px; font-size: 14px; } }
`;
