"use strict";
// Figures at the top, and bars: units, phases, energy, traffic, critical path.
(() => {
  const card = (value, text) => make("div", { class: "card" }, make("b", {}, value),
                                     make("span", {}, text));
  const tokens = R.source?.tokens, energy = R.energy;
  byId("subtitle").textContent = `${R.machine.description}; ${R.program.precision} products, ` +
    `${count(R.program.commands)} commands of ${count(R.program.operations)} operations` +
    (Object.keys(R.machine.overrides).length
      ? `; changed: ${Object.entries(R.machine.overrides).map((e) => e.join(" = ")).join(", ")}` : "");
  byId("cards").append(
    card(si(R.seconds, "s"), count(R.cycles) + " cycles"),
    card(si(R.energy_joules, "J"), si(R.average_watts, "W") + " on average"),
    ...(tokens ? [card(si(tokens / R.seconds, "tok/s"), si(energy.per_token, "J") + " per token")] : []),
    card(percent(R.utilisation.tensor), `of peak (${percent(R.utilisation.tensor_while_busy)} while busy)`),
    card(percent(R.utilisation.dram), "of DRAM bandwidth"),
    card(si(R.macs.executed), `multiply-adds; masks saved ${si(R.macs.masked)}`),
    card(bytes(R.peak_spm_bytes), `scratchpad of ${bytes(M.scratchpad.capacity)}`),
    card(bytes(R.peak_dram_bytes), `DRAM of ${bytes(M.dram.capacity)}`),
  );

  const PARTS = [["busy", "busy", "busy"], ["wait_semaphore", "units", "waits for units"],
                 ["wait_memory", "memory", "waits for DRAM"], ["idle", "idle", "idle"]];
  byId("units").append(
    make("div", { class: "bar" }, ...PARTS.map(([, paint, text]) => make("span", { class: "key" },
      make("i", { style: `background:var(--${paint})` }), text))),
    table([
      ["unit", null, ([unit]) => words(unit)],
      ["", null, ([, u]) => scale(PARTS.map(([key, paint, text]) => [share(u[key], R.cycles), paint,
        `${text}: ${count(u[key])} cycles, ${percent(share(u[key], R.cycles))}`])), true],
      ...PARTS.map(([key, , text]) => [text, null, ([, u]) => percent(share(u[key], R.cycles))]),
    ], Object.entries(R.units)));

  const bar = (part, whole, paint) => scale([[share(part, whole), paint]]);
  const swatch = (phase) => make("span", {}, make("span",
    { class: "swatch", style: `background:var(--${phase});margin-right:6px` }), words(phase));
  byId("phases").append(table([
    ["phase", null, ([name]) => swatch(name)],
    ["", null, ([name, p]) => bar(p.cycles, R.cycles, name), true],
    ["critical", null, ([, p]) => percent(share(p.cycles, R.cycles))],
    ["active", null, ([, p]) => time(p.active_cycles)],
    ["MACs", null, ([, p]) => si(p.macs)],
    ["DRAM", null, ([, p]) => si(p.dram_moved_bytes, "B")],
    ["energy", null, ([, p]) => si(p.energy_joules, "J")],
  ], Object.entries(R.phases)));

  const parts = Object.entries(energy.by_component).sort((a, b) => b[1] - a[1]);
  byId("energy").append(table([
    ["component", null, ([name]) => words(name)],
    ["", null, ([, joules]) => bar(joules, R.energy_joules, "accent"), true],
    ["energy", null, ([, joules]) => si(joules, "J")],
    ["share", null, ([, joules]) => percent(share(joules, R.energy_joules))],
  ], parts), make("h2", { style: "margin-top:14px" }, "The coefficients that matter most"), table([
    ["constant", null, (term) => term.constant],
    ["times", null, (term) => si(term.quantity, term.unit)],
    ["each", null, (term) => si(term.joules_per_unit, "J")],
    ["energy", null, (term) => si(term.joules, "J")],
    ["1 % changes the total by", null, (term) => (share(term.joules, R.energy_joules)).toFixed(3) + " %"],
  ], [...energy.terms].sort((a, b) => b.joules - a.joules).slice(0, 8)));

  const traffic = (id, read, written, text, more = []) => {
    const total = [read, written].reduce((sum, way) =>
      sum + Object.values(way).reduce((a, b) => a + b, 0), 0);
    const purposes = [...new Set([...Object.keys(read), ...Object.keys(written)])];
    byId(id).append(table([
      ["purpose", null, (p) => p],
      ["", null, (p) => scale([[share(read[p] ?? 0, total), "forward", "read"],
                               [share(written[p] ?? 0, total), "update", "written"]]), true],
      ["read", null, (p) => si(read[p] ?? 0, "B")],
      ["written", null, (p) => si(written[p] ?? 0, "B")],
      ...more,
    ], purposes.filter((p) => read[p] || written[p])),
    make("p", { class: "hint" }, `${si(total, "B")} ${text}: read in blue, written in pink.`));
  };
  const asked = R.dram_bytes, moved = R.dram_moved_bytes;
  traffic("traffic", moved.read, moved.write, "in whole bursts of DRAM", [
    ["moved / asked for", null, (p) => share((moved.read[p] ?? 0) + (moved.write[p] ?? 0),
      (asked.read[p] ?? 0) + (asked.write[p] ?? 0)).toFixed(2)]]);
  traffic("scratchpad-traffic", R.spm_bytes_by_purpose.read, R.spm_bytes_by_purpose.written,
          "between the scratchpad and the units");

  const path = R.critical_path;
  const list = (parts) => Object.entries(parts).sort((a, b) => b[1] - a[1])
    .map(([name, cycles]) => `${words(name)} ${percent(share(cycles, R.cycles))}`).join(", ");
  byId("critical").append(
    make("p", { class: "hint" }, `By unit: ${list(path.by_unit)}. By cause: ${list(path.by_cause)}.`),
    make("div", { class: "tall", style: "max-height:330px" }, table([
      ["operation", null, (e) => e.op],
      ["", null, (e) => bar(e.share, path.longest[0].share, e.phase), true],
      ["share", null, (e) => percent(e.share)],
      ["unit", null, (e) => words(e.unit)],
      ["because of", null, (e) => e.cause],
    ], path.longest)));
})();
