"use strict";
// Attained speed over arithmetic intensity, both logarithmic, under the machine's two roofs.
(() => {
  const W = 640, H = 400, LEFT = 74, RIGHT = 92, TOP = 14, BOTTOM = 46;
  const { peak_flops: peak, bandwidth, ridge_flops_per_byte: ridge, points } = R.roofline;
  const placed = points.map((p) => ({ ...p, row: R.ops[p.op] })).filter((p) => p.attained_flops > 0);
  const sums = [...PHASES.map((phase) => [phase, R.phases[phase], R.phases[phase].active_cycles]),
    ["step", { macs: R.macs.executed, dram_moved_bytes: ["read", "write"].reduce((sum, way) =>
      sum + Object.values(R.dram_moved_bytes[way]).reduce((a, b) => a + b, 0), 0) }, R.cycles]]
    .filter(([, p, cycles]) => p.macs && cycles)
    .map(([name, p, cycles]) => ({ name, intensity: p.dram_moved_bytes ? 2 * p.macs / p.dram_moved_bytes
      : null, flops: 2 * p.macs * T.frequency / cycles }));
  const xs = [...placed.map((p) => p.arithmetic_intensity), ...sums.map((s) => s.intensity)]
    .filter((v) => v > 0);
  const ys = [...placed.map((p) => p.attained_flops), ...sums.map((s) => s.flops)];
  const floor = (v) => 10 ** Math.floor(Math.log10(v)), ceil = (v) => 10 ** Math.ceil(Math.log10(v));
  const [x0, x1] = [floor(Math.min(...xs, ridge / 10)), ceil(Math.max(...xs, ridge * 10))];
  const [y0, y1] = [floor(Math.min(...ys, peak / 10)), ceil(peak * 1.01)];
  const log = Math.log10;
  const x = (v) => LEFT + (log(v) - log(x0)) / (log(x1) - log(x0)) * (W - LEFT - RIGHT);
  const y = (v) => H - BOTTOM - (log(v) - log(y0)) / (log(y1) - log(y0)) * (H - TOP - BOTTOM);
  const outside = W - RIGHT + 52;  // where operations stand that do not touch DRAM
  const svg = make("svg", { viewBox: `0 0 ${W} ${H}`, role: "img" });
  const text = (at, down, words_, anchor = "middle", kind = "") =>
    make("text", { x: at, y: down, "text-anchor": anchor, class: kind }, words_);
  for (let v = x0; v <= x1 * 1.001; v *= 10)
    svg.append(make("line", { class: "grid", x1: x(v), x2: x(v), y1: TOP, y2: H - BOTTOM }),
               text(x(v), H - BOTTOM + 16, si(v)));
  for (let v = y0; v <= y1 * 1.001; v *= 10)
    svg.append(make("line", { class: "grid", x1: LEFT, x2: W - RIGHT, y1: y(v), y2: y(v) }),
               text(LEFT - 8, y(v) + 4, si(v), "end"));
  const roof = (rate, kind) => {
    const knee = peak / rate, low = Math.max(x0, y0 / rate);
    return make("path", { class: kind, d: `M${x(low)},${y(low * rate)} L${x(knee)},${y(peak)} ` +
                                          `L${outside + 26},${y(peak)}` });
  };
  const stream = CONSTANTS.find(([key]) => key === "dram.efficiency.stream")?.[1] ?? 1;
  svg.append(roof(bandwidth, "roof"), roof(bandwidth * stream, "roof attainable"),
    text(W - RIGHT - 4, y(peak) - 7, si(peak, "FLOP/s"), "end", "strong"),
    text(x(ridge) + 6, H - BOTTOM - 8, `ridge ${si(ridge)} FLOP/B`, "start"),
    text((LEFT + W - RIGHT) / 2, H - 10, "FLOP per byte of DRAM moved"),
    text(outside, H - BOTTOM + 16, "on chip"),
    make("line", { class: "grid", x1: x(ridge), x2: x(ridge), y1: y(peak), y2: H - BOTTOM }));
  const label = text(0, 0, "FLOP/s");
  label.setAttribute("transform", `translate(14 ${(TOP + H - BOTTOM) / 2}) rotate(-90)`);
  svg.append(label);
  const dots = [...placed].sort((a, b) => b.row.critical_cycles - a.row.critical_cycles);
  dots.forEach((p, i) => {
    const inside = p.arithmetic_intensity > 0;
    svg.append(make("circle", { class: "hit", r: 3 + 14 * Math.sqrt(share(p.row.critical_cycles, R.cycles)),
      cx: inside ? x(p.arithmetic_intensity) : outside + (i * 7) % 29 - 14, cy: y(p.attained_flops),
      fill: `var(--${p.phase})`, "fill-opacity": 0.6,
      tip: `${p.name}\n${words(p.phase)}${p.row.location ? " · " + p.row.location : ""}\n` +
        `${si(p.attained_flops, "FLOP/s")}, ${percent(p.row.roofline_fraction)} of the roof\n` +
        (inside ? `${si(p.arithmetic_intensity)} FLOP/B` : "operands on chip") +
        `\n${percent(share(p.row.critical_cycles, R.cycles))} of the run` }));
  });
  for (const s of sums) {
    const at = s.intensity ? x(s.intensity) : outside, down = y(Math.max(s.flops, y0)), d = 7;
    svg.append(make("path", { class: "hit", stroke: "var(--ink)", "stroke-width": 1.5,
      d: `M${at},${down - d} L${at + d},${down} L${at},${down + d} L${at - d},${down} Z`,
      fill: s.name === "step" ? "var(--ink)" : `var(--${s.name})`,
      tip: `${words(s.name)} as a whole\n${si(s.flops, "FLOP/s")}, ` +
        (s.intensity ? si(s.intensity) + " FLOP/B" : "no DRAM traffic of its own") }));
  }
  byId("roofline").append(svg, make("p", { class: "hint" },
    "Discs: operations, as large as the time that the run waits for them. Diamonds: phases and, in " +
    "black or white, the step. Dashed: with the bandwidth that streaming attains. Weights that " +
    "are loaded ahead count for their loads, so their products stand on chip."));
})();
