"use strict";
// Commands of the units over time, on a canvas: tens of thousands of them, of which few are seen.
const timeline = (() => {
  const LEFT = 88, AXIS = 24, LANE = 34, THIN = 16, CURVE = 40, GAP = 6;
  const lanes = T.lanes.map((lane, i) => ({ ...lane, top: AXIS + i * (LANE + GAP) }));
  const criticalTop = AXIS + lanes.length * (LANE + GAP);
  const curves = T.curves.map((curve, i) => ({
    ...curve, top: criticalTop + THIN + GAP + i * (CURVE + GAP),
  }));
  const height = criticalTop + THIN + GAP + curves.length * (CURVE + GAP) + 4;
  const first = [];  // of each lane: the number of its first command, counted through all lanes
  lanes.reduce((sum, lane) => { first.push(sum); return sum + lane.start.length; }, 0);
  const end = Math.max(T.cycles, 1);
  let from = 0, to = end, hovered = null, found = "", width = 1;
  const hidden = new Set();
  const phaseOf = (tag) => (R.ops[tag] ? R.ops[tag].phase : PHASES[0]);

  const x = (cycle) => LEFT + ((cycle - from) / (to - from)) * (width - LEFT);
  const cycleAt = (px) => from + ((px - LEFT) / (width - LEFT)) * (to - from);

  // The first entry of an ascending list that is greater than a value.
  function after(list, value) {
    let low = 0, high = list.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (list[middle] > value) high = middle; else low = middle + 1;
    }
    return low;
  }
  function locate(number) {
    let lane = lanes.length - 1;
    while (lane > 0 && first[lane] > number) lane--;
    return [lane, number - first[lane]];
  }
  function matches(tag) {
    const op = R.ops[tag];
    if (!op || hidden.has(op.phase)) return false;
    return !found || (op.name + " " + op.location + " " + op.kind).toLowerCase().includes(found);
  }

  function patterns(context) {
    const tile = (paint) => {
      const node = document.createElement("canvas");
      node.width = node.height = 6;
      const inner = node.getContext("2d");
      paint(inner);
      return context.createPattern(node, "repeat");
    };
    return {
      units: tile((c) => {
        c.strokeStyle = colour("units");
        c.lineWidth = 1.2;
        c.beginPath(); c.moveTo(-1, 7); c.lineTo(7, -1); c.moveTo(-1, 1); c.lineTo(1, -1);
        c.moveTo(5, 7); c.lineTo(7, 5); c.stroke();
      }),
      memory: tile((c) => { c.fillStyle = colour("memory"); c.fillRect(1, 1, 2, 2);
                            c.fillRect(4, 4, 2, 2); }),
    };
  }

  function ticks(context) {
    const span = (to - from) / T.frequency, room = Math.max(2, Math.floor((width - LEFT) / 110));
    const power = 10 ** Math.floor(Math.log10(span / room));
    const step = [1, 2, 5, 10].map((m) => m * power).find((s) => span / s <= room) || span;
    context.fillStyle = colour("soft");
    context.strokeStyle = colour("line");
    context.textAlign = "center";
    for (let t = Math.ceil(from / T.frequency / step) * step; t <= to / T.frequency; t += step) {
      const at = x(t * T.frequency);
      context.beginPath(); context.moveTo(at, AXIS - 6); context.lineTo(at, height); context.stroke();
      context.fillText(t < step / 2 ? "0" : si(t, "s"), Math.min(Math.max(at, LEFT + 12), width - 24), 13);
    }
  }

  function drawWait(context, lane, i, hatch) {
    const w = Math.max(x(lane.wait[i]), LEFT), a = Math.min(x(lane.start[i]), width);
    if (a - w <= 1) return;
    const unit = lane.producer[i] < 0 ? "" : lanes[locate(lane.producer[i])[0]].unit;
    context.globalAlpha = 0.75;
    context.fillStyle = unit.startsWith("dma") ? hatch.memory : hatch.units;
    context.fillRect(w, lane.top + LANE * 0.3, a - w, LANE * 0.4);
  }

  // Commands narrower than a pixel add up: a column is as high as its part of the time is busy.
  function drawDense(context, lane, dense, paints) {
    const whole = (to - from) / (width - LEFT);
    for (const [pixel, parts] of dense) {
      let base = lane.top + LANE;
      for (const [key, cycles] of Object.entries(parts)) {
        const high = Math.max(Math.min(cycles / whole, 1) * LANE, 1.5);
        const [phase, seen] = key.split(" ");
        context.globalAlpha = seen === "true" ? 1 : 0.13;
        context.fillStyle = paints[phase];
        context.fillRect(pixel, base - high, 1, high);
        base = Math.max(base - high, lane.top + 1.5);
      }
    }
  }

  function drawLane(context, lane, paints, hatch) {
    const n = lane.start.length, dense = new Map();
    for (let i = after(lane.leave, from); i < n && lane.wait[i] < to; i++) {
      drawWait(context, lane, i, hatch);
      const a = Math.max(x(lane.start[i]), LEFT), b = Math.min(x(lane.leave[i]), width);
      if (b < a || a > width) continue;
      const phase = phaseOf(lane.tag[i]), seen = matches(lane.tag[i]), long = b - a;
      if (long < 1) {
        const pixel = Math.floor(a), parts = dense.get(pixel) ?? {};
        parts[phase + " " + seen] = (parts[phase + " " + seen] ?? 0) + lane.busy[i];
        dense.set(pixel, parts);
        continue;
      }
      const high = Math.max(share(lane.busy[i], lane.leave[i] - lane.start[i]) * LANE, 1.5);
      context.fillStyle = paints[phase];
      if (lane.count[i] > 1) {
        context.globalAlpha = 0.12;
        context.fillRect(a, lane.top, long, LANE);
      }
      context.globalAlpha = seen ? 1 : 0.13;
      context.fillRect(a, lane.top + LANE - high, long > 3 ? long - 0.6 : long, high);
      if (long > 46 && seen && high > 14) {
        context.fillStyle = "#fff";
        context.textAlign = "left";
        const room = Math.floor((long - 8) / 6.9), name = R.ops[lane.tag[i]]?.name ?? "";
        context.fillText(name.length > room ? "…" + name.slice(-(room - 1)) : name, a + 4,
                         lane.top + LANE - high / 2 + 4);
      }
    }
    drawDense(context, lane, dense, paints);
    context.globalAlpha = 1;
  }

  function drawCritical(context, paints) {
    for (const [begin, stop, number] of T.critical) {
      if (stop < from || begin > to) continue;
      const [lane, i] = locate(number);
      const a = Math.max(x(begin), LEFT), b = Math.min(x(stop), width);
      context.fillStyle = paints[phaseOf(lanes[lane].tag[i])];
      context.fillRect(a, criticalTop + (THIN / lanes.length) * lane, Math.max(b - a, 0.7),
                       THIN / lanes.length);
    }
  }

  // The mean of a stepped curve over each pixel, as a share of its limit.
  function means(curve) {
    const { steps, limit } = curve, pixels = Math.max(1, Math.floor(width - LEFT));
    const whole = (to - from) / pixels, found = new Float64Array(pixels);
    let i = 0;
    while (i + 1 < steps.length && steps[i + 1][0] <= from) i++;
    for (; i < steps.length && steps[i][0] < to; i++) {
      const begin = Math.max(steps[i][0], from), last = i + 1 < steps.length ? steps[i + 1][0] : end;
      for (let p = Math.max(0, Math.floor((begin - from) / whole)); p < pixels; p++) {
        const a = Math.max(begin, from + p * whole), b = Math.min(last, from + (p + 1) * whole);
        if (b <= a) break;
        found[p] += (steps[i][1] / limit) * ((b - a) / whole);
      }
    }
    return found;
  }

  function drawCurve(context, curve) {
    context.globalAlpha = 0.55;
    context.fillStyle = colour("accent");
    means(curve).forEach((level, p) => {
      const high = Math.min(1, level) * CURVE;
      if (high > 0) context.fillRect(LEFT + p, curve.top + CURVE - high, 1, high);
    });
    context.globalAlpha = 1;
    context.strokeStyle = colour("line");
    context.strokeRect(LEFT, curve.top, width - LEFT, CURVE);
  }

  function drawArrow(context) {
    const { lane, i } = hovered, to_ = lanes[lane];
    context.strokeStyle = colour("ink");
    context.lineWidth = 2;
    const a = Math.max(x(to_.start[i]), LEFT), b = Math.min(x(to_.leave[i]), width);
    context.strokeRect(a, to_.top, Math.max(b - a, 2), LANE);
    if (to_.producer[i] >= 0) {
      const [other, j] = locate(to_.producer[i]);
      context.beginPath();
      context.moveTo(Math.max(x(lanes[other].leave[j]), LEFT), lanes[other].top + LANE / 2);
      context.lineTo(a, to_.top + LANE / 2);
      context.stroke();
    }
    context.lineWidth = 1;
  }

  function labels(context) {
    context.textAlign = "left";
    context.fillStyle = colour("ink");
    for (const lane of lanes) context.fillText(words(lane.unit), 0, lane.top + LANE / 2 + 4);
    context.fillStyle = colour("soft");
    context.fillText("critical path", 0, criticalTop + THIN - 4);
    for (const curve of curves) {
      context.fillText(curve.name, 0, curve.top + CURVE / 2 - 2);
      context.fillText("of " + (curve.unit === "B" ? bytes(curve.limit) : si(curve.limit, curve.unit)),
                       0, curve.top + CURVE / 2 + 13);
    }
  }

  const node = byId("timeline");
  const paint = canvas("timeline", height, (context, size) => {
    width = size;
    context.font = "12px system-ui, sans-serif";
    const paints = Object.fromEntries(PHASES.map((phase) => [phase, colour(phase)]));
    ticks(context);
    const hatch = patterns(context);
    for (const lane of lanes) drawLane(context, lane, paints, hatch);
    drawCritical(context, paints);
    for (const curve of curves) drawCurve(context, curve);
    if (hovered) drawArrow(context);
    labels(context);
  });

  let waiting = false;
  function repaint() {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; paint(); });
  }
  function show(a, b) {
    const span = Math.min(Math.max(b - a, 20), end);
    from = Math.min(Math.max(a, 0), end - span);
    to = from + span;
    repaint();
  }
  function zoom(factor, around = (from + to) / 2) {
    const span = (to - from) * factor;
    show(around - ((around - from) / (to - from)) * span, around + ((to - around) / (to - from)) * span);
  }
  const move = (part) => show(from + part * (to - from), to + part * (to - from));

  function under(event) {
    const box = node.getBoundingClientRect();
    const px = event.clientX - box.left, py = event.clientY - box.top, at = cycleAt(px);
    if (px < LEFT) return null;
    const number = lanes.findIndex((lane) => py >= lane.top && py <= lane.top + LANE);
    if (number < 0) return null;
    const lane = lanes[number], reach = (2 / (width - LEFT)) * (to - from);
    for (let i = Math.max(0, after(lane.leave, at - reach)); i < lane.start.length; i++) {
      if (lane.wait[i] > at + reach) break;
      if (lane.start[i] - reach <= at && at <= lane.leave[i] + reach) return { lane: number, i };
      if (lane.wait[i] <= at && at < lane.start[i]) return { lane: number, i };
    }
    return null;
  }
  function described({ lane, i }) {
    const l = lanes[lane], op = R.ops[l.tag[i]] ?? {}, work = l.leave[i] - l.start[i];
    const waited = l.start[i] - l.wait[i];
    const lines = [op.name ?? "", T.shapes[l.shape[i]] + (l.count[i] > 1 ? ` (${l.count[i]} times)` : ""),
      `${words(op.phase ?? "")} · ${op.kind ?? ""}${op.location ? " · " + op.location : ""}`,
      `from cycle ${count(l.start[i])} for ${count(work)} cycles (${time(work)})` +
        (l.count[i] > 1 ? `, ${percent(share(l.busy[i], work))} of them busy` : "")];
    if (waited > 0 && l.producer[i] >= 0) {
      const [other, j] = locate(l.producer[i]), by = lanes[other];
      lines.push(`waited ${count(waited)} cycles for ${words(by.unit)} ${j}: ` +
                 (R.ops[by.tag[j]]?.name ?? ""));
    }
    return lines.join("\n");
  }

  let grabbed = null;
  node.addEventListener("wheel", (event) => {
    event.preventDefault();
    const amount = event.deltaY || event.deltaX;
    if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) move(amount / 1000);
    else zoom(Math.exp(amount / 500), cycleAt(event.offsetX));
  }, { passive: false });
  node.addEventListener("pointerdown", (event) => {
    grabbed = { x: event.clientX, from, to };
    node.setPointerCapture(event.pointerId);
  });
  node.addEventListener("pointerup", () => { grabbed = null; });
  node.addEventListener("dblclick", () => show(0, end));
  node.addEventListener("pointermove", (event) => {
    if (grabbed) {
      const shift = ((grabbed.x - event.clientX) / (width - LEFT)) * (grabbed.to - grabbed.from);
      show(grabbed.from + shift, grabbed.to + shift);
      return hideTip();
    }
    hovered = under(event);
    if (hovered) placeTip(event, described(hovered)); else hideTip();
    repaint();
  });
  node.addEventListener("pointerleave", () => { hovered = null; hideTip(); repaint(); });
  node.addEventListener("keydown", (event) => {
    const act = { w: () => zoom(0.7), s: () => zoom(1.4), a: () => move(-0.15), d: () => move(0.15),
                  ArrowLeft: () => move(-0.15), ArrowRight: () => move(0.15), 0: () => show(0, end) };
    if (act[event.key]) { act[event.key](); event.preventDefault(); }
  });
  byId("zoom-in").addEventListener("click", () => zoom(0.5));
  byId("zoom-out").addEventListener("click", () => zoom(2));
  byId("zoom-fit").addEventListener("click", () => show(0, end));
  byId("find").addEventListener("input", (event) => {
    found = event.target.value.trim().toLowerCase();
    repaint();
  });
  for (const phase of PHASES) {
    const key = make("button", { class: "key" },
                     make("i", { style: `background:var(--${phase})` }), words(phase));
    key.addEventListener("click", () => {
      if (!hidden.delete(phase)) hidden.add(phase);
      key.classList.toggle("off", hidden.has(phase));
      repaint();
    });
    byId("legend").append(key);
  }
  return { show, view: () => [from, to], under, described, height };
})();
