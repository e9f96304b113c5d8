// Charts: speed with its band, event rate, angle over time, spectrum. Data are kept in rings of
// fixed length, so that a page that stays open for days does not grow.
"use strict";

(() => {
  const RING = 600; // a minute at 10 Hz
  const MOST_ROTORS = 16;
  const KEPT_S = 60; // of longer spans the history tells
  const SPEED_MS = 250, ANGLE_MS = 500, SPECTRUM_MS = 1000, PAST_MS = 5000;
  const LATER_MS = 3000; // after a question that was refused
  const LEAST_SPAN_S = 2;
  const LEAST_STEP_US = 90000; // between the points of one frame that holds many windows
  const GAP = 4; // so many usual steps apart, points are not joined

  class Ring {
    constructor(columns) {
      this.columns = Array.from({ length: columns }, () => new Float64Array(RING));
      this.count = 0;
    }

    push(...values) {
      const at = this.count % RING;
      values.forEach((value, i) => { this.columns[i][at] = value; });
      this.count += 1;
    }

    get length() { return Math.min(this.count, RING); }

    /** The value of column `i` of the `k`-th oldest row. */
    at(i, k) { return this.columns[i][(this.count - this.length + k) % RING]; }

    get newest() { return this.length ? this.at(0, this.length - 1) : -Infinity; }
  }

  const ready = (id) => {
    const plot = document.querySelector(`#${id} .js-plotly-plot`) ?? null;
    return window.Plotly && plot?.layout ? plot : null;
  };

  function isSeen(plot) {
    const { top, bottom } = plot.getBoundingClientRect();
    return !document.hidden && bottom > -100 && top < innerHeight + 100;
  }

  /** Rows of a ring younger than `spanS`, with null where there is a gap. */
  function rows(ring, newestUs, spanS) {
    const found = [];
    let step = Infinity, before = null;
    for (let k = 0; k < ring.length; k++) {
      const t = ring.at(0, k);
      if (t < newestUs - spanS * 1e6) continue;
      if (before !== null) {
        if (t - before > GAP * step) found.push(null);
        step = Math.min(step, t - before);
      }
      before = t;
      found.push([(t - newestUs) / 1e6, ring.at(1, k), ring.at(2, k)]);
    }
    return found;
  }

  const median = (values) => values.slice().sort((a, b) => a - b)[values.length >> 1] ?? 0;

  function alpha(color, opacity) {
    return color + Math.round(opacity * 255).toString(16).padStart(2, "0");
  }

  function look() {
    const grid = evio.style("--grid"), quiet = evio.style("--quiet");
    const axis = { gridcolor: grid, zerolinecolor: grid, linecolor: grid };
    const look = { "paper_bgcolor": "rgba(0,0,0,0)", "plot_bgcolor": "rgba(0,0,0,0)", "font.color": quiet };
    for (const name of ["xaxis", "yaxis"]) {
      for (const [key, value] of Object.entries(axis)) look[`${name}.${key}`] = value;
    }
    return look;
  }

  /** Axes have numbers as soon as there are data. */
  function number(layout) {
    layout.xaxis.showticklabels = layout.yaxis.showticklabels = true;
    return layout;
  }

  /** Says in place of a chart why there is none; "" for nothing. */
  function say(plot, text) {
    const line = plot.closest(".plot").querySelector("p.nothing");
    evio.setText(line, text);
    line.hidden = !text;
  }

  class Charts {
    constructor() {
      this.speeds = new Map();
      this.rate = new Ring(3);
      this.newestUs = -Infinity;
      this.drawnMs = this.angleMs = this.spectrumMs = this.pastMs = 0;
      this.chosen = null;
      this.seen = new Set();
      this.busy = { angle: false, spectrum: false, past: false };
      this.told = {}; // the rotor of each chart
      this.styled = new WeakSet();
      evio.onTheme(() => { this.styled = new WeakSet(); this.drawnMs = this.pastMs = 0; });
      document.addEventListener("change", () => { this.drawnMs = this.pastMs = 0; });
    }

    clear() {
      this.speeds.clear();
      this.rate = new Ring(3);
      this.newestUs = -Infinity;
    }

    choose(id) {
      this.chosen = id;
      this.angleMs = this.spectrumMs = 0;
    }

    /** Takes an older window of a frame, unless it is close to the one before. */
    takePast(t, rotors) {
      if (t - this.newestUs >= LEAST_STEP_US) this.push(t, rotors);
    }

    take(header, rotors) {
      if (header.t_us < this.newestUs) this.clear();
      this.seen = new Set(rotors.map((rotor) => rotor.id));
      if (header.t_us > this.newestUs) this.push(header.t_us, rotors);
      if (header.event_rate_hz !== null) this.rate.push(header.t_us, header.event_rate_hz, 0);
    }

    push(t, rotors) {
      this.newestUs = t;
      for (const rotor of rotors) {
        let ring = this.speeds.get(rotor.id);
        if (!ring) {
          if (this.speeds.size >= MOST_ROTORS) this.forgetOldest();
          ring = new Ring(3);
          this.speeds.set(rotor.id, ring);
        }
        ring.push(t, rotor.rpm, Number.isFinite(rotor.rpm_std) ? rotor.rpm_std : 0);
      }
    }

    forgetOldest() {
      const [oldest] = [...this.speeds].sort((a, b) => a[1].newest - b[1].newest)[0];
      this.speeds.delete(oldest);
    }

    /** Draws what is due; called with every frame. */
    draw(now) {
      if (now - this.drawnMs >= SPEED_MS) {
        this.drawnMs = now;
        this.drawSpeed();
        this.drawRate();
      }
      // Of a rotor that is not in view the server knows nothing.
      if (this.chosen !== null && this.seen.has(this.chosen)) {
        if (now - this.angleMs >= ANGLE_MS) this.drawAngle(now);
        if (now - this.spectrumMs >= SPECTRUM_MS) this.drawSpectrum(now);
      } else {
        this.tellGone("angle");
        this.tellGone("spectrum");
      }
    }

    /** No rotor is in view any more. */
    lose() {
      this.seen = new Set();
    }

    /** Says that the rotor of a chart has gone; its last picture stays. */
    tellGone(kind) {
      const plot = ready(`${kind}-chart`);
      if (plot && !plot.data?.length) say(plot, "No rotor in view");
      if (this.told[kind] !== undefined) {
        evio.setText(evio.byId(`${kind}-rotor`), `rotor ${this.told[kind]}, no longer in view`);
      }
    }

    /** Seconds to show: as many as are asked for, as soon as there are so many. */
    span() {
      const asked = Math.min(Number(evio.byId("span").value), KEPT_S);
      const rings = [this.rate, ...this.speeds.values()].filter((ring) => ring.length);
      const oldest = Math.max(0, ...rings.map((ring) => (this.newestUs - ring.at(0, 0)) / 1e6));
      return Math.min(asked, Math.max(Math.ceil(oldest), LEAST_SPAN_S));
    }

    /** A plot that can be seen, in the colours of the theme. */
    plot(id) {
      const plot = ready(id);
      if (!plot || !isSeen(plot)) return null;
      if (!this.styled.has(plot)) {
        this.styled.add(plot);
        Plotly.relayout(plot, look());
      }
      return plot;
    }

    /** Draws the speeds of the last seconds, or of a longer span by what the history tells. */
    drawSpeed() {
      const plot = this.plot("speed-chart");
      if (!plot) return;
      const askedS = Number(evio.byId("span").value);
      if (askedS > KEPT_S) {
        this.drawPast(plot, askedS);
        return;
      }
      const spanS = this.span();
      const lines = [];
      for (const [id, ring] of [...this.speeds].sort((a, b) => a[0] - b[0])) {
        const found = rows(ring, this.newestUs, spanS);
        if (!found.some(Boolean)) this.speeds.delete(id);
        else lines.push([id, found.map((row) => row && [row[0], row[1], row[1] - 2 * row[2], row[1] + 2 * row[2]])]);
      }
      plot.layout.xaxis.title.text = "seconds ago";
      this.drawLines(plot, lines, [-spanS, 0]);
    }

    /** The same of the history: means, and from the least to the greatest. */
    async drawPast(plot, spanS) {
      const now = performance.now();
      if (this.busy.past || (this.pastMs && now - this.pastMs < PAST_MS)) return;
      this.pastMs = now;
      const untilS = Date.now() / 1e3;
      const told = await this.ask("past", `api/history?since=${untilS - spanS}&until=${untilS}&points=${RING}`);
      if (!told || Number(evio.byId("span").value) !== spanS) return;
      const [unitS, unit] = spanS > 7200 ? [3600, "hours"] : [60, "minutes"];
      const lines = told.rotors.map((one) => {
        const found = [];
        one.t_s.forEach((t, i) => {
          if (i && t - one.t_s[i - 1] > 2.5 * told.step_s + 1) found.push(null);
          if (one.rpm[i] !== null) found.push([(t - untilS) / unitS, one.rpm[i], one.rpm_min[i], one.rpm_max[i]]);
        });
        return [one.id, found];
      });
      plot.layout.xaxis.title.text = `${unit} ago`;
      this.drawLines(plot, lines, [-spanS / unitS, 0]);
    }

    /** Draws lines with bands; rows are [x, y, low, high], null for a gap. */
    drawLines(plot, lines, range) {
      const relative = evio.byId("speed-kind").value === "deviation";
      const traces = [];
      let low = Infinity, high = -Infinity;
      for (const [id, found] of lines) {
        const center = relative ? median(found.filter(Boolean).map((row) => row[1])) : 0;
        const band = { x: [], y: [] };
        let piece = [];
        for (const row of [...found, null]) {
          if (row) {
            piece.push(row);
            low = Math.min(low, row[2] - center);
            high = Math.max(high, row[3] - center);
          } else if (piece.length) {
            const back = piece.slice().reverse();
            band.x.push(...piece.map((one) => one[0]), ...back.map((one) => one[0]), null);
            band.y.push(...piece.map((one) => one[3] - center), ...back.map((one) => one[2] - center), null);
            piece = [];
          }
        }
        const color = evio.color(id);
        const isShort = found.length < 3; // a line of one point is none
        const common = { type: "scatter", mode: isShort ? "lines+markers" : "lines" };
        traces.push({ ...common, ...band, mode: "lines", showlegend: false, fill: "toself", fillcolor: alpha(color, 0.25), line: { width: 0 }, hoverinfo: "skip" });
        traces.push({
          ...common, name: `rotor ${id}`, hoverinfo: "x+y+name",
          x: found.map((row) => row && row[0]), y: found.map((row) => row && row[1] - center),
          line: { color, width: this.chosen === id ? 2.4 : 1.6 },
        });
      }
      const { layout } = plot;
      say(plot, lines.length ? "" : "No speeds in this time");
      layout.showlegend = lines.length > 1;
      layout.legend = { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", itemclick: false, itemdoubleclick: false };
      layout.margin.t = lines.length > 1 ? 26 : 8;
      layout.xaxis.range = range;
      layout.xaxis.autorange = false;
      layout.yaxis.title.text = relative ? "rpm from the median" : "rpm";
      if (low <= high) {
        number(layout);
        // Absolute speeds do not fill the height with noise.
        const least = relative ? 1e-6 : 0.004 * Math.max(Math.abs(low), Math.abs(high));
        const pad = Math.max(0.08 * (high - low), (least - (high - low)) / 2);
        layout.yaxis.range = [low - pad, high + pad];
        layout.yaxis.autorange = false;
      }
      Plotly.react(plot, traces, layout);
    }

    drawRate() {
      const plot = this.plot("rate-chart");
      if (!plot) return;
      const found = rows(this.rate, this.newestUs, this.span());
      say(plot, found.length ? "" : "No event rate yet");
      if (!found.length) return;
      plot.layout.xaxis.range = [-this.span(), 0];
      plot.layout.xaxis.autorange = false;
      const accent = evio.style("--accent");
      Plotly.react(plot, [{
        type: "scatter", mode: "lines", x: found.map((row) => row && row[0]), y: found.map((row) => row && row[1]),
        fill: "tozeroy", fillcolor: alpha(accent, 0.15), line: { color: accent, width: 1.6 }, hoverinfo: "x+y",
      }], number(plot.layout));
    }

    async drawAngle(now) {
      const plot = this.plot("angle-chart");
      if (!plot || this.busy.angle) return;
      this.angleMs = now;
      const id = this.chosen;
      const told = await this.ask("angle", `api/rotors/${id}/angle_time`);
      if (!told) this.angleMs = now + LATER_MS;
      if (!told || id !== this.chosen) return;
      number(plot.layout);
      say(plot, "");
      this.told.angle = id;
      const times = told.counts.length, angles = told.counts[0].length;
      const length = (told.end_us - told.start_us) / 1e3;
      const z = Array.from({ length: angles }, (_, a) => told.counts.map((row) => row[a]));
      evio.setText(evio.byId("angle-rotor"), `rotor ${id}`);
      const zero = evio.style("--card");
      Plotly.react(plot, [{
        type: "heatmap", z, showscale: false, hoverinfo: "x+y+z",
        x: Array.from({ length: times }, (_, i) => ((i + 0.5) / times - 1) * length),
        y: Array.from({ length: angles }, (_, a) => ((a + 0.5) * 360) / angles),
        colorscale: [[0, zero], [0.35, alpha(evio.color(id), 0.75)], [1, evio.style("--ink")]],
        zmin: 0, zmax: Math.max(1, ...told.counts.map((row) => Math.max(...row))),
      }], { ...plot.layout, yaxis: { ...plot.layout.yaxis, range: [0, 360], dtick: 90, autorange: false },
            xaxis: { ...plot.layout.xaxis, range: [-length, 0], autorange: false } });
    }

    async drawSpectrum(now) {
      const plot = this.plot("spectrum-chart");
      if (!plot || this.busy.spectrum) return;
      this.spectrumMs = now;
      const id = this.chosen;
      const told = await this.ask("spectrum", `api/rotors/${id}/spectrum`);
      if (!told) this.spectrumMs = now + LATER_MS;
      if (!told || id !== this.chosen) return;
      number(plot.layout);
      say(plot, "");
      this.told.spectrum = id;
      const pass = told.blade_pass_hz;
      const most = pass ? Math.min(Math.max(5 * pass, 50), 2000) : 500;
      const x = [], y = [];
      told.frequency_hz.forEach((frequency, i) => {
        if (frequency <= most) { x.push(frequency); y.push(Math.max(told.power[i], 0.01)); }
      });
      evio.setText(evio.byId("spectrum-rotor"),
        pass ? `rotor ${id} · blades pass at ${pass.toFixed(1)} Hz` : `rotor ${id}`);
      const color = evio.color(id);
      const shapes = [];
      for (let k = 1; pass && k * pass <= most; k++) {
        shapes.push({ type: "line", yref: "paper", x0: k * pass, x1: k * pass, y0: 0, y1: 1,
                      line: { color, width: 1, dash: "dot" }, opacity: k === 1 ? 0.9 : 0.4 });
      }
      Plotly.react(plot, [{ type: "scatter", mode: "lines", x, y, line: { color, width: 1.3 }, hoverinfo: "x+y" }],
        { ...plot.layout, shapes, xaxis: { ...plot.layout.xaxis, range: [0, most], autorange: false } });
    }

    /** An answer of the server, one at a time of each kind; null where the rotor has gone. */
    async ask(kind, path) {
      this.busy[kind] = true;
      try {
        return await evio.ask(path);
      } catch {
        return null;
      } finally {
        this.busy[kind] = false;
      }
    }
  }

  evio.Charts = Charts;
})();
