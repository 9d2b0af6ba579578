"use strict";
// Slots of the scratchpad: addresses up, kernels across.
(() => {
  const LEFT = 88, TOP = 8, BOTTOM = 22, HEIGHT = 360;
  const { capacity, used, lower_bound: bound, slots } = M.scratchpad;
  byId("memory-text").textContent = `${bytes(used)} used of ${bytes(capacity)}. No placement needs ` +
    `less than ${bytes(bound)}, the most that is live at a time (${percent(share(bound, used))} of it).`;
  const kernels = Math.max(1, ...slots.map((slot) => slot[4] + 1)), top = Math.max(used, 1);
  const PAINTS = ["forward", "input_gradient", "weight_gradient", "update", "units", "memory"];
  // Neighbours get different colours, a slot always the same.
  const paintOf = ([name, , , born]) => {
    let hash = 7;
    for (const letter of name + born) hash = (hash * 31 + letter.charCodeAt(0)) >>> 0;
    return PAINTS[hash % PAINTS.length];
  };
  let width = 1, hovered = -1;
  const rectangle = ([, address, size, first, last]) => {
    const across = (width - LEFT) / kernels, up = (HEIGHT - TOP - BOTTOM) / top;
    return [LEFT + first * across, HEIGHT - BOTTOM - (address + size) * up,
            Math.max((last - first + 1) * across, 1), Math.max(size * up, 0.7)];
  };
  const paint = canvas("memory", HEIGHT, (context, size) => {
    width = size;
    context.font = "12px system-ui, sans-serif";
    const paints = Object.fromEntries(PAINTS.map((name) => [name, colour(name)]));
    const step = 2 ** Math.ceil(Math.log2(top / 8));
    context.strokeStyle = colour("line");
    context.fillStyle = colour("soft");
    context.textAlign = "right";
    for (let at = 0; at <= top; at += step) {
      const y = HEIGHT - BOTTOM - at * (HEIGHT - TOP - BOTTOM) / top;
      context.beginPath(); context.moveTo(LEFT, y); context.lineTo(width, y); context.stroke();
      context.fillText(bytes(at), LEFT - 8, y + 4);
    }
    context.textAlign = "center";
    const power = 10 ** Math.floor(Math.log10(kernels / 12));
    const every = Math.max(1, [1, 2, 5, 10].map((m) => m * power).find((n) => kernels / n <= 12));
    for (let kernel = 0; kernel < kernels; kernel += every)
      context.fillText(kernel, LEFT + (kernel + 0.5) * (width - LEFT) / kernels, HEIGHT - 6);
    slots.forEach((slot, number) => {
      const [x, y, w, h] = rectangle(slot);
      context.fillStyle = paints[paintOf(slot)];
      context.globalAlpha = number === hovered ? 1 : 0.62;
      context.fillRect(x, y, w, h);
      context.globalAlpha = 1;
      context.strokeStyle = number === hovered ? colour("ink") : colour("card");
      context.lineWidth = number === hovered ? 2 : 0.6;
      if (w > 2 && h > 2) context.strokeRect(x, y, w, h);
      for (let part = 1; part < slot[5] && h / slot[5] > 3; part++) {
        context.strokeStyle = colour("ink");
        context.lineWidth = 0.5;
        context.beginPath();
        context.moveTo(x, y + h * part / slot[5]); context.lineTo(x + w, y + h * part / slot[5]);
        context.stroke();
      }
    });
    context.lineWidth = 1;
  });
  const node = byId("memory");
  node.addEventListener("pointermove", (event) => {
    const box = node.getBoundingClientRect(), px = event.clientX - box.left, py = event.clientY - box.top;
    const number = slots.findLastIndex((slot) => {
      const [x, y, w, h] = rectangle(slot);
      return x <= px && px <= x + w && y - 1 <= py && py <= y + h + 1;
    });
    if (number !== hovered) { hovered = number; paint(); }
    if (number < 0) return hideTip();
    const [name, address, size, first, last, parts] = slots[number];
    placeTip(event, `${name}\n${bytes(size)} at 0x${address.toString(16)}` +
      (parts > 1 ? `, ${parts} parts in turn` : "") + `\nkernels ${first} to ${last}`);
  });
  node.addEventListener("pointerleave", () => { hovered = -1; hideTip(); paint(); });
})();
