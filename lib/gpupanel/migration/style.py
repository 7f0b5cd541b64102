"""The look of the page; light and dark from the same properties, and fit to be printed."""

STYLE = """
:root { color-scheme: light dark; --ground: #f7f7f5; --sheet: #fff; --ink: #1d2329; --faint: #59636d; --line: #dcdfe1;
  --accent: #2460a7; --good: #1b6e3c; --warn: #8a5200; --bad: #b0261e; }
@media (prefers-color-scheme: dark) { :root { --ground: #14171a; --sheet: #1b1f23; --ink: #e3e6e9; --faint: #9aa4ae;
  --line: #30363c; --accent: #82b4ee; --good: #78c493; --warn: #dfb05c; --bad: #f0908a; } }
*, ::before, ::after { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 14px/1.5 system-ui, "Segoe UI", "Noto Sans", "DejaVu Sans", sans-serif;
  font-variant-numeric: tabular-nums; }
main { max-width: 76rem; margin: 0 auto; padding: 2rem clamp(1rem, 4vw, 3rem) 4rem; }
h1, h2, p, dl, dd, ul { margin: 0; padding: 0; }
h1 { font-size: 1.6rem; line-height: 1.25; letter-spacing: -.01em; margin-block: .3rem .5rem; }
h2 { font-size: 1.15rem; margin-bottom: .6rem; }
section { margin-top: 2.2rem; }
.over { color: var(--faint); }
.lead { font-size: 1.1rem; }
.mark { margin-right: .5rem; } .good .mark { color: var(--good); } .bad .mark { color: var(--bad); }
.sides { display: flex; flex-wrap: wrap; gap: .3rem 2rem; margin-top: .9rem; }
dt { color: var(--faint); font-size: .85rem; } dd { overflow-wrap: anywhere; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(13rem, 1fr)); gap: .8rem; list-style: none; margin-top: 1.4rem; }
.tiles li { display: grid; align-content: start; background: var(--sheet); border: 1px solid var(--line); border-left: 4px solid var(--tone, var(--line));
  border-radius: 6px; padding: .7rem .9rem; }
.tiles b { font-size: 1.6rem; line-height: 1.2; color: var(--tone, var(--faint)); } .tiles span { color: var(--faint); font-size: .9rem; }
.content { --tone: var(--bad); } .record { --tone: var(--warn); } .structure { --tone: var(--accent); } .form { --tone: var(--faint); }
.scroll { overflow-x: auto; background: var(--sheet); border: 1px solid var(--line); border-radius: 6px; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .38rem .7rem; border-top: 1px solid var(--line); }
thead th { border-top: 0; color: var(--faint); font-weight: 500; font-size: .85rem; white-space: nowrap; }
.n { text-align: right; } .zero { color: var(--faint); opacity: .55; } .quiet { color: var(--faint); margin-top: .4rem; }
code { font: .88em/1.45 ui-monospace, "DejaVu Sans Mono", monospace; overflow-wrap: anywhere; }
.value { white-space: pre-wrap; } .samples td { width: 25%; min-width: 9rem; } .about td:first-child { white-space: nowrap; color: var(--faint); }
.top td:first-child { text-align: right; font-weight: 600; }
a { color: var(--accent); }
.badge { display: inline-block; border: 1px solid var(--tone); color: var(--tone); border-radius: 1rem; padding: 0 .55rem; font-size: .8rem; white-space: nowrap; }
details { margin-top: .8rem; } summary { cursor: pointer; padding: .25rem 0; overflow-wrap: anywhere; } details .scroll { margin-top: .4rem; }
.timeline td:first-child { white-space: nowrap; }
@media print { body { background: #fff; } .scroll { overflow: visible; } }
"""
