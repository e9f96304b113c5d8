// The live view: events as light on a dark ground, rotors and detections drawn over it.
"use strict";

(() => {
  const GROUND = [16, 16, 22], ON = [255, 150, 40], OFF = [40, 130, 255];
  const BRIGHTEST = 15, FAINT = 0.125, LEVELS = 64;
  const MOST_FRAMES = 40, MOST_GAIN = 6;

  /** Colour by how many OFF and ON events a pixel has, as the package's own pictures show them. */
  function colors() {
    const level = (count) =>
      Math.log1p(Math.min(count, BRIGHTEST) / FAINT) / Math.log1p(BRIGHTEST / FAINT);
    const table = new Uint32Array(LEVELS * LEVELS);
    for (let off = 0; off < LEVELS; off++) {
      for (let on = 0; on < LEVELS; on++) {
        const [a, b] = [level((off * BRIGHTEST) / (LEVELS - 1)), level((on * BRIGHTEST) / (LEVELS - 1))];
        const [r, g, blue] = GROUND.map((ground, i) =>
          Math.min(255, Math.max(0, Math.round(ground + a * (OFF[i] - ground) + b * (ON[i] - ground)))));
        table[off * LEVELS + on] = (255 << 24) | (blue << 16) | (g << 8) | r;
      }
    }
    return table;
  }

  class EventCanvas {
    constructor(canvas) {
      this.canvas = canvas;
      this.context = canvas.getContext("2d", { alpha: false });
      this.table = colors();
      this.frames = [];
      this.keptUs = 100000;
      this.width = this.height = 0;
    }

    resize(width, height) {
      if (width === this.width && height === this.height) return;
      [this.width, this.height] = [width, height];
      [this.canvas.width, this.canvas.height] = [width, height];
      this.image = this.context.createImageData(width, height);
      this.pixels = new Uint32Array(this.image.data.buffer);
      this.counts = new Uint16Array(width * height); // OFF in the low byte, ON in the high one
      this.touched = [];
      this.pixels.fill(this.table[0]);
      this.frames = [];
      this.context.putImageData(this.image, 0, 0);
    }

    take({ header, columns }) {
      this.resize(header.width, header.height);
      const newest = this.frames[this.frames.length - 1];
      if (newest && header.start_us < newest.header.start_us) this.frames = [];
      this.frames.push({ header, columns });
      if (this.frames.length > MOST_FRAMES) this.frames.shift();
    }

    clear() {
      this.frames = [];
      if (this.image) this.draw();
    }

    /** Draws what was seen in the last `keptUs` of sensor time. */
    draw() {
      const { counts, pixels, table, width, height } = this;
      const background = table[0];
      for (const at of this.touched) { counts[at] = 0; pixels[at] = background; }
      this.touched.length = 0;
      const last = this.frames.length ? this.frames[this.frames.length - 1].header.end_us : 0;
      const from = last - this.keptUs;
      this.frames = this.frames.filter(({ header }) => header.end_us > from);
      // A point must not be smaller than a pixel of the screen.
      const shown = this.canvas.clientWidth || width;
      const size = Math.min(4, Math.max(1, Math.round(width / shown)));
      for (const { header, columns: { t, x, y, polarity } } of this.frames) {
        const begin = from - header.start_us;
        for (let i = 0; i < t.length; i++) {
          if (t[i] < begin) continue;
          const add = polarity[i] ? 256 : 1;
          for (let dy = 0; dy < size; dy++) {
            for (let dx = 0; dx < size; dx++) {
              if (x[i] + dx >= width || y[i] + dy >= height) continue;
              const at = (y[i] + dy) * width + x[i] + dx;
              if (counts[at] === 0) this.touched.push(at);
              const before = counts[at];
              if ((polarity[i] ? before >> 8 : before & 255) < BRIGHTEST) counts[at] = before + add;
            }
          }
        }
      }
      // An event that stands for others shines for some of them.
      const share = this.frames.length ? this.frames[this.frames.length - 1].header.share : 1;
      const scale = ((LEVELS - 1) / BRIGHTEST) * Math.min(1 / share, MOST_GAIN);
      for (const at of this.touched) {
        const off = Math.min(LEVELS - 1, Math.round((counts[at] & 255) * scale));
        const on = Math.min(LEVELS - 1, Math.round((counts[at] >> 8) * scale));
        pixels[at] = table[off * LEVELS + on];
      }
      this.context.putImageData(this.image, 0, 0);
    }
  }

  class Overlay {
    constructor(canvas) {
      this.canvas = canvas;
      this.context = canvas.getContext("2d");
    }

    /** Draws rotors and boxes; `size` is the sensor's (width, height). */
    draw(size, rotors, detections, chosen) {
      const { canvas, context } = this;
      const ratio = window.devicePixelRatio || 1;
      const [width, height] = [canvas.clientWidth, canvas.clientHeight];
      if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
        canvas.width = Math.round(width * ratio);
        canvas.height = Math.round(height * ratio);
      }
      context.setTransform(ratio, 0, 0, ratio, 0, 0);
      context.clearRect(0, 0, width, height);
      this.labels = [];
      if (!size) return;
      const scale = Math.min(width / size[0], height / size[1]);
      // A pixel's event is drawn to the right of and below its coordinates: half a pixel further.
      const place = (x, y) => [
        (width - size[0] * scale) / 2 + (x + 0.5) * scale,
        (height - size[1] * scale) / 2 + (y + 0.5) * scale,
      ];
      for (const box of detections) this.box(box, place, scale);
      for (const rotor of rotors) this.rotor(rotor, place, rotor.id === chosen);
      for (const rotor of rotors) this.name(rotor, place);
    }

    rotor(rotor, place, isChosen) {
      const { context } = this;
      const cosine = Math.cos(rotor.tilt), sine = Math.sin(rotor.tilt);
      // The inverse of Ellipse.disc_coordinates.
      const point = (radius, angle) => {
        const along = rotor.axis_major * radius * Math.cos(angle - rotor.tilt);
        const across = rotor.axis_minor * radius * Math.sin(angle - rotor.tilt);
        return place(
          rotor.center_x + along * cosine - across * sine,
          rotor.center_y + along * sine + across * cosine,
        );
      };
      context.strokeStyle = context.fillStyle = evio.color(rotor.id, "dark");
      context.globalAlpha = rotor.confidence < 0.5 ? 0.55 : 1;
      context.setLineDash(rotor.is_predicted ? [5, 4] : []);
      context.lineWidth = isChosen ? 2.4 : 1.6;
      context.beginPath();
      for (let i = 0; i <= 72; i++) context.lineTo(...point(1, (i * Math.PI) / 36));
      context.stroke();
      context.setLineDash([]);
      const blades = Math.max(1, rotor.blade_count);
      for (let blade = 0; blade < blades; blade++) {
        const angle = rotor.angle + (2 * Math.PI * blade) / blades;
        context.lineWidth = blade === 0 ? 2.6 : 1.1;
        context.beginPath();
        context.moveTo(...point(0.08, angle));
        context.lineTo(...point(1, angle));
        context.stroke();
      }
      // An arc outside the rim tells the sense of rotation.
      const sense = Math.sign(rotor.rpm);
      context.lineWidth = 2;
      context.beginPath();
      for (let i = 0; i <= 12; i++) context.lineTo(...point(1.08, rotor.angle + (sense * i * 0.55) / 12));
      context.stroke();
      const tip = rotor.angle + sense * 0.62;
      context.beginPath();
      context.moveTo(...point(1.08, tip));
      context.lineTo(...point(1.13, tip - sense * 0.12));
      context.lineTo(...point(1.03, tip - sense * 0.12));
      context.fill();
      context.beginPath();
      context.arc(...place(rotor.center_x, rotor.center_y), 2.5, 0, 7);
      context.fill();
      context.globalAlpha = 1;
    }

    name(rotor, place) {
      const { context } = this;
      context.fillStyle = evio.color(rotor.id, "dark");
      context.globalAlpha = rotor.confidence < 0.5 ? 0.55 : 1;
      const high = Math.hypot(rotor.axis_major * Math.sin(rotor.tilt), rotor.axis_minor * Math.cos(rotor.tilt));
      const [x, y] = place(rotor.center_x, rotor.center_y - high * 1.14);
      const below = place(rotor.center_x, rotor.center_y + high * 1.14)[1] + 14;
      this.label(`${rotor.id}: ${evio.minus(rotor.rpm.toFixed(0))} rpm`, x, y - 4, "center", below, String(rotor.id));
      context.globalAlpha = 1;
    }

    box(box, place, scale) {
      const { context } = this;
      const [width, height] = box.size.map((length) => length * scale);
      const [x, y] = place(box.center[0] - box.size[0] / 2, box.center[1] - box.size[1] / 2);
      context.strokeStyle = context.fillStyle = "#ffffff";
      context.lineWidth = 1.2;
      context.setLineDash([6, 3]);
      context.strokeRect(x, y, width, height);
      context.setLineDash([]);
      const track = box.track_id ? ` ${box.track_id}` : "";
      this.label(`${box.class_id}${track} ${(100 * box.score).toFixed(0)} %`, x, y - 5, "left");
    }

    /** Writes where nothing is written yet, at `y` or `below`; the short text where neither is free. */
    label(text, x, y, align, below = y, short = text) {
      const { context } = this;
      context.font = "600 12px system-ui, 'DejaVu Sans', sans-serif";
      context.textAlign = align;
      const half = context.measureText(text).width / (align === "center" ? 2 : 1);
      if (align === "center") x = Math.min(Math.max(x, half + 3), this.canvas.clientWidth - half - 3);
      y = Math.max(y, 13);
      const left = align === "center" ? x - half : x, width = align === "center" ? 2 * half : half;
      const isTaken = (at) => this.labels.some((one) =>
        Math.abs(one.y - at) < 15 && left < one.right + 4 && one.left < left + width + 4);
      const free = [y, below].find((at) => !isTaken(at));
      if (free === undefined && short !== text) {
        this.label(short, x, y, align, below);
        return;
      }
      y = free ?? y;
      this.labels.push({ left, right: left + width, y });
      context.lineWidth = 3.5;
      context.lineJoin = "round";
      const ink = context.strokeStyle;
      context.strokeStyle = "rgba(16, 16, 22, .85)";
      context.strokeText(text, x, y);
      context.fillText(text, x, y);
      context.strokeStyle = ink;
    }
  }

  evio.EventCanvas = EventCanvas;
  evio.Overlay = Overlay;
})();
