"use strict";
// Volumes come as sheets: every axial slice a tile of one 8-bit picture, row by row. Axes: x to the patient's left,
// y to the back, z to the head; plane pictures are in radiological orientation.
(async () => {
  const data = JSON.parse(document.getElementById("viewer-data").textContent);
  const [nx, ny, nz] = data.size;
  const viewer = document.getElementById("viewer");
  const volumes = {};

  async function load(name, sheet) {
    const image = new Image();
    image.src = sheet.src;
    await image.decode();
    const canvas = new OffscreenCanvas(image.width, image.height);
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(image, 0, 0);
    const pixels = context.getImageData(0, 0, image.width, image.height).data;
    const out = new Uint8Array(nx * ny * nz);
    for (let z = 0; z < nz; z++) {
      const left = (z % sheet.columns) * nx, top = Math.floor(z / sheet.columns) * ny;
      for (let y = 0; y < ny; y++) {
        let from = 4 * ((top + y) * image.width + left), to = (z * ny + y) * nx;
        for (let x = 0; x < nx; x++, from += 4) out[to++] = pixels[from];
      }
    }
    volumes[name] = out;
  }
  await Promise.all(Object.entries(data.sheets).map(([name, sheet]) => load(name, sheet)));

  const planes = [
    { name: "axial", across: 0, down: 1, through: 2, flip: false, letters: "RLAP" },
    { name: "coronal", across: 0, down: 2, through: 1, flip: true, letters: "RLSI" },
    { name: "sagittal", across: 1, down: 2, through: 0, flip: true, letters: "APSI" },
  ];
  const stride = [1, nx, nx * ny];
  const state = {
    at: data.start.slice(), base: "blend", overlay: data.shown,
    opacity: 0.55, share: 1, window: 0, cross: true, outline: true, active: 0,
  };

  // ---- what one pixel shows
  const RIMS = [["undecided", [255, 176, 0]], ["wrong", [0, 229, 255]]];
  const hu = (v) => data.hu[0] + (v / 255) * (data.hu[1] - data.hu[0]);
  const table = new Uint8ClampedArray(256);
  function makeTable() {
    const [low, high] = data.windows[state.window].range;
    for (let v = 0; v < 256; v++) table[v] = (255 * (hu(v) - low)) / (high - low);
  }
  function valueOf(overlay, v) {
    const part = v / 255;
    return overlay.log ? overlay.range[0] * (overlay.range[1] / overlay.range[0]) ** part
      : overlay.range[0] + part * (overlay.range[1] - overlay.range[0]);
  }
  function colourOf(overlay, v) {
    const stops = overlay.colours, at = (v / 255) * (stops.length - 1), n = Math.min(Math.floor(at), stops.length - 2);
    return [0, 1, 2].map((c) => stops[n][c] + (at - n) * (stops[n + 1][c] - stops[n][c]));
  }
  const FOLDED = [255, 230, 0];
  const colours = {}, veils = {};
  for (const overlay of data.overlays) {
    // where there is nothing to tell the lung itself is seen, and not black on it
    veils[overlay.name] = Array.from({ length: 256 }, (_, v) => (overlay.fades ? Math.min(1, v / 255 / overlay.fades) : 1));
    colours[overlay.name] = Array.from({ length: 256 }, (_, v) => (overlay.log && v === 0 ? FOLDED : colourOf(overlay, v)));
  }
  // a byte at the end of its range stands for all that lies beyond
  const beyond = (v, low) => (v === 255 ? "≥ " : v <= 1 && low !== 0 ? "≤ " : "");
  function sayOf(overlay, v) {
    if (overlay.log && v === 0) return "folded (≤ 0)";
    const value = (overlay.log && v === 1 ? overlay.range[0] : valueOf(overlay, v)).toFixed(overlay.digits);
    return `${beyond(v, overlay.range[0])}${value}${overlay.unit ? " " + overlay.unit : ""}`;
  }

  function paint(plane) {
    paintView(plane, plane.view, beside() ? "fixed" : state.base);
    if (beside()) paintView(plane, plane.twin, "warped");
    plane.slider.value = state.at[plane.through];
    const what = beside() ? `${plane.name}, fixed` : plane.name;
    plane.label.textContent = `${what}, ${"xyz"[plane.through]} = ${world(plane.through).toFixed(0)} mm`;
    plane.frame.classList.toggle("active", planes[state.active] === plane);
  }
  function paintView(plane, { context, image, lines }, base) {
    const { across, down, through, flip } = plane;
    const w = data.size[across], h = data.size[down];
    const { fixed, before, after, lungs } = volumes;
    const rims = state.outline ? RIMS.filter(([name]) => volumes[name]) : [];
    const one = stride[across], line = stride[down];
    const overlay = volumes[state.overlay], tint = colours[state.overlay], veil = veils[state.overlay];
    const pixels = image.data, share = state.share;
    let to = 0;
    for (let row = 0; row < h; row++) {
      let index = state.at[through] * stride[through] + (flip ? h - 1 - row : row) * stride[down];
      for (let column = 0; column < w; column++, index += stride[across], to += 4) {
        const f = table[fixed[index]], b = table[before[index]], a = table[after[index]];
        let red, green, blue;
        switch (base) {
          case "fixed": red = green = blue = f; break;
          case "moving": red = green = blue = b; break;
          case "warped": red = green = blue = a; break;
          case "blend": {
            // from before to after: both against the fixed scan, in green and magenta
            const m = b + share * (a - b);
            red = blue = m; green = f; break;
          }
          default: red = green = blue = 128 + 0.5 * (a - f);
        }
        if (overlay && lungs[index] > 127) {
          const c = tint[overlay[index]], o = state.opacity * veil[overlay[index]];
          red += o * (c[0] - red); green += o * (c[1] - green); blue += o * (c[2] - blue);
        }
        for (const [name, rim] of rims) {
          // inside, with a neighbour that is not
          const part = volumes[name];
          if (part[index] && !(part[index - one] && part[index + one] && part[index - line] && part[index + line])) {
            [red, green, blue] = rim;
          }
        }
        pixels[to] = red; pixels[to + 1] = green; pixels[to + 2] = blue;
      }
    }
    context.putImageData(image, 0, 0);
    const [vertical, horizontal] = lines;
    vertical.style.left = `${(100 * (state.at[across] + 0.5)) / w}%`;
    const y = flip ? h - 1 - state.at[down] : state.at[down];
    horizontal.style.top = `${(100 * (y + 0.5)) / h}%`;
    for (const line of lines) line.hidden = !state.cross;
  }
  const beside = () => state.base === "beside";
  const world = (axis) => data.origin[axis] + state.at[axis] * data.spacing;

  function tell() {
    const index = state.at[0] + state.at[1] * stride[1] + state.at[2] * stride[2];
    const way = (axis, ends) => `${ends[world(axis) < 0 ? 1 : 0]} ${Math.abs(world(axis)).toFixed(0)}`;
    const parts = [`${way(0, "LR")}, ${way(1, "PA")}, ${way(2, "SI")} mm`];
    for (const [name, v] of [["fixed", volumes.fixed[index]], ["warped", volumes.after[index]]]) {
      parts.push(`${name} ${beyond(v, data.hu[0])}${hu(v).toFixed(0)} HU`);
    }
    if (volumes.lungs[index] > 127) {
      for (const overlay of data.overlays) parts.push(`${overlay.title} ${sayOf(overlay, volumes[overlay.name][index])}`);
    } else parts.push("outside the lungs");
    document.getElementById("readout").textContent = parts.join("  ·  ");
  }

  // in words what the controls are set to: paper has none
  function caption() {
    const chosen = (id) => document.getElementById(id).selectedOptions[0].textContent;
    const share = Math.round(100 * state.share);
    const when = state.base !== "blend" ? "" : share === 100 ? ", after" : share === 0 ? ", before" : `, ${share} % after`;
    document.getElementById("shown").textContent = `${chosen("base")}${when}; window: ${chosen("window")}`;
    const outlined = document.getElementById("outlined");
    if (outlined) outlined.hidden = !state.outline;
  }

  let waiting = false;
  function draw() {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      planes.forEach(paint);
      tell();
      for (const select of ["base", "overlay"]) document.getElementById(select).value = state[select];
      document.getElementById("window").value = state.window;
      document.getElementById("share").value = state.share;
      document.getElementById("opacity").value = state.opacity;
      document.getElementById("share-field").hidden = state.base !== "blend";
      document.getElementById("opacity-field").hidden = state.overlay === "none";
      caption();
      viewer.querySelector(".twins").hidden = !beside();
      for (const bar of document.querySelectorAll(".bar")) bar.hidden = bar.dataset.overlay !== state.overlay;
    });
  }
  function go(axis, index) {
    state.at[axis] = Math.max(0, Math.min(data.size[axis] - 1, Math.round(index)));
    draw();
  }

  // ---- the three planes, on one scale
  viewer.style.setProperty("--widths", planes.map((plane) => `${data.size[plane.across]}fr`).join(" "));
  // a picture of a plane: what is drawn on, its crosshair, and what the pointer does there
  function view(frame, plane, number) {
    const canvas = frame.querySelector("canvas"), box = frame.querySelector(".picture");
    [canvas.width, canvas.height] = [data.size[plane.across], data.size[plane.down]];
    const context = canvas.getContext("2d"), image = context.createImageData(canvas.width, canvas.height);
    image.data.fill(255);
    function point(event) {
      const { left, top, width, height } = box.getBoundingClientRect();
      const x = ((event.clientX - left) / width) * canvas.width - 0.5;
      const y = ((event.clientY - top) / height) * canvas.height - 0.5;
      state.active = number;
      go(plane.across, x);
      go(plane.down, plane.flip ? canvas.height - 1 - y : y);
    }
    box.addEventListener("pointerdown", (event) => { box.setPointerCapture(event.pointerId); point(event); });
    box.addEventListener("pointermove", (event) => { if (event.buttons & 1) point(event); });
    box.addEventListener("wheel", (event) => {
      event.preventDefault();
      state.active = number;
      go(plane.through, state.at[plane.through] - Math.sign(event.deltaY));
    }, { passive: false });
    return { context, image, lines: [...frame.querySelectorAll(".line")] };
  }
  planes.forEach((plane, number) => {
    const frame = viewer.querySelector(`[data-plane=${plane.name}]`);
    plane.frame = frame;
    plane.view = view(frame, plane, number);
    plane.twin = view(viewer.querySelector(`[data-twin=${plane.name}]`), plane, number);
    plane.slider = frame.querySelector("input");
    plane.slider.max = data.size[plane.through] - 1;
    plane.label = frame.querySelector(".label");
    plane.slider.addEventListener("input", () => go(plane.through, +plane.slider.value));
    frame.addEventListener("focusin", () => { state.active = number; draw(); });
  });

  // ---- controls
  const bases = ["blend", "fixed", "moving", "warped", "difference", "beside"];
  const overlays = ["none", ...data.overlays.map((o) => o.name)];
  const listen = (id, change) => document.getElementById(id).addEventListener("input", (event) => {
    change(event.target.value);
    draw();
  });
  listen("base", (v) => { state.base = v; });
  listen("overlay", (v) => { state.overlay = v; });
  listen("window", (v) => { state.window = +v; makeTable(); });
  listen("share", (v) => { state.share = +v; });
  listen("opacity", (v) => { state.opacity = +v; });

  const next = (list, value) => list[(list.indexOf(value) + 1) % list.length];
  // keys are the viewer's while it has the focus, or nothing has it and the viewer is what one looks at: elsewhere they scroll
  function listens() {
    const focus = document.activeElement, { top, bottom } = viewer.getBoundingClientRect();
    const inSight = top + bottom > 0 && top + bottom < 2 * window.innerHeight;
    return viewer.contains(focus) || (inSight && (focus === document.body || focus.matches("tr[data-at]")));
  }
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.tagName === "SELECT") return;
    // a slider keeps the keys that move it
    if (event.target.tagName === "INPUT" && event.key.length > 1) return;
    const plane = planes[state.active], up = plane.flip ? 1 : -1;
    const keys = {
      ArrowLeft: () => go(plane.across, state.at[plane.across] - 1),
      ArrowRight: () => go(plane.across, state.at[plane.across] + 1),
      ArrowUp: () => go(plane.down, state.at[plane.down] + up),
      ArrowDown: () => go(plane.down, state.at[plane.down] - up),
      PageUp: () => go(plane.through, state.at[plane.through] + 1),
      PageDown: () => go(plane.through, state.at[plane.through] - 1),
      " ": () => {
        if (state.base === "blend") state.share = state.share > 0.5 ? 0 : 1;
        else state.base = state.base === "fixed" ? "warped" : "fixed";
      },
      o: () => { state.overlay = next(overlays, state.overlay); },
      w: () => { state.window = (state.window + 1) % data.windows.length; makeTable(); },
      c: () => { state.cross = !state.cross; },
      e: () => { state.outline = !state.outline; },
    };
    bases.forEach((name, n) => { keys[n + 1] = () => { state.base = name; }; });
    const act = keys[event.key];
    if (!act || !listens()) return;
    event.preventDefault();
    act();
    draw();
  });

  // a row of a table can name a place
  for (const row of document.querySelectorAll("tr[data-at]")) {
    const show = () => {
      const place = JSON.parse(row.dataset.at);
      place.forEach((mm, axis) => go(axis, (mm - data.origin[axis]) / data.spacing));
      viewer.scrollIntoView({ behavior: "smooth", block: "nearest" });
    };
    row.tabIndex = 0;
    row.addEventListener("click", show);
    row.addEventListener("keydown", (event) => { if (event.key === "Enter") show(); });
  }
  makeTable();
  draw();
  const say = (name, v) => sayOf(data.overlays.find((overlay) => overlay.name === name), v);
  window.lungmorphViewer = { state, planes, volumes, go, draw, say };
  document.documentElement.dataset.ready = "yes";
})();
