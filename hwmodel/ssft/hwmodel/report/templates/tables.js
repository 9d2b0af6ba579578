"use strict";
// Long tables, each sortable by its headings.
(() => {
  byId("operations").append(table([
    ["operation", (op) => op.name, (op) => op.name],
    ["kind", (op) => op.kind, (op) => op.kind, true],
    ["phase", (op) => op.phase, (op) => words(op.phase), true],
    ["of run", (op) => op.critical_cycles, (op) => percent(share(op.critical_cycles, R.cycles))],
    ["active", (op) => op.active_cycles, (op) => time(op.active_cycles)],
    ["commands", (op) => op.commands, (op) => count(op.commands)],
    ["MACs", (op) => op.macs, (op) => (op.macs ? si(op.macs) : "")],
    ["DRAM", (op) => op.dram_moved_bytes, (op) => (op.dram_moved_bytes ? si(op.dram_moved_bytes, "B") : "")],
    ["FLOP/B", (op) => op.arithmetic_intensity,
     (op) => (op.macs ? (op.arithmetic_intensity ? si(op.arithmetic_intensity) : "on chip") : "")],
    ["of roof", (op) => (op.macs ? op.roofline_fraction : null),
     (op) => (op.macs ? percent(op.roofline_fraction) : "")],
    ["energy", (op) => op.dynamic_joules, (op) => si(op.dynamic_joules, "J")],
    ["source", (op) => op.location, (op) => brief(op.location), true],
  ], R.ops, true));

  const form = R.closed_form, ratio = (v) => (v === null ? "-" : v.toFixed(3));
  byId("closed").append(table([
    ["cycles", null, ([name]) => words(name)],
    ["compute", null, ([, p]) => (p.compute === undefined ? "" : count(p.compute))],
    ["DMA", null, ([, p]) => (p.dma === undefined ? "" : count(p.dma))],
    ["longer", null, ([, p]) => count(p.longer ?? Math.max(p.compute, p.dma))],
  ], [...Object.entries(form.phases), ["fill and drain", { longer: form.fill + form.drain }],
      ["step", { longer: form.cycles }], ["simulated", { longer: R.cycles }]]),
  make("p", { class: "hint" }, `Simulated / closed form ${ratio(form.simulated_over_closed_form)}; ` +
    `simulated / busy cycles of ${words(form.busiest_unit)}, the busiest unit: ` +
    `${ratio(form.simulated_over_busiest_unit)}; the next, ${words(form.next_unit)}, is busy for ` +
    `${percent(form.next_unit_cycles / (form.busiest_unit_cycles || 1))} of its time.`));
  if (R.gemm_cycles) {
    const array = R.gemm_cycles.array.join(" x ");
    byId("closed").append(table([
      ["products, cycles", null, ([name]) => words(name)],
      ["MACs / peak", null, ([, g]) => count(g.ideal)],
      ["this machine", null, ([, g]) => count(g.ours)],
      ["SCALE-Sim OS " + array, null, ([, g]) => count(g.scale_sim_output_stationary)],
      ["SCALE-Sim WS " + array, null, ([, g]) => count(g.scale_sim_weight_stationary)],
    ], [...Object.entries(R.gemm_cycles.phases).filter(([, g]) => g.ours),
        ["total", R.gemm_cycles.total]]));
  }

  const part = (found, of) => (found === null ? "" : `${count(found)} of ${count(of)}`);
  byId("updated").append(table([
    ["parameter", (p) => p.name, (p) => p.name],
    ["rows", (p) => p.rows, (p) => part(p.rows, p.shape[0])],
    ["columns", (p) => p.columns, (p) => part(p.columns, p.shape[1])],
    ["elements", (p) => p.elements, (p) => count(p.elements)],
  ], R.updated.parameters, true));

  byId("buffers").append(table([
    ["buffer", (b) => b[0], (b) => b[0]],
    ["purpose", (b) => b[3], (b) => b[3], true],
    ["type", (b) => b[4], (b) => `${b[4]}[${b[5].join(", ")}]`, true],
    ["address", (b) => b[1], (b) => "0x" + b[1].toString(16)],
    ["bytes", (b) => b[2], (b) => bytes(b[2])],
  ], M.dram.buffers, true));

  const shown = (value) => (Array.isArray(value) ? value.map((p) => p.join(":")).join("  ")
    : typeof value === "number" ? Number(value.toPrecision(6)).toLocaleString("en-US",
      { maximumSignificantDigits: 6 }) : String(value));
  byId("constants").append(table([
    ["constant", (c) => c[0], (c) => c[0]],
    ["value", null, (c) => shown(c[1])],
    ["unit", (c) => c[2], (c) => c[2], true],
    ["evidence", (c) => c[3], (c) => c[3], true],
    ["source", (c) => c[4], (c) => c[4], true],
  ], CONSTANTS, true));

  byId("limits").append(...R.limits.map((text) => make("li", {}, text)));
  for (const [name, text] of Object.entries(R.denominators))
    byId("denominators").append(make("dt", {}, name), make("dd", {}, text));
})();
