// The rotors in view, newest numbers of each, as cards.
"use strict";

(() => {
  const KEPT_MS = 3000;
  const NUMBERS = [
    "id", "group", "blade_count", "rpm", "rpm_std", "confidence", "turns", "angle",
    "center_x", "center_y", "axis_major", "axis_minor", "tilt",
  ];
  const SVG = "http://www.w3.org/2000/svg";

  /** The rotors of each window of a frame of states that has any, by its time, oldest first. */
  evio.rotorsOf = ({ header, columns }) => {
    const windows = new Map();
    for (let row = 0; row < header.rows; row++) {
      const rotor = { is_predicted: Boolean(columns.is_predicted[row]) };
      for (const name of NUMBERS) rotor[name] = columns[name][row];
      const t = columns.t_us[row];
      if (!windows.has(t)) windows.set(t, []);
      windows.get(t).push(rotor);
    }
    return windows;
  };

  class RotorCards {
    constructor(folder, none, chosen) {
      this.folder = folder;
      this.none = none;
      this.cards = new Map();
      this.chosen = null;
      this.onChosen = chosen;
      evio.onTheme(() => { for (const card of this.cards.values()) card.color(); });
    }

    show(rotors) {
      const now = performance.now();
      for (const rotor of rotors) this.card(rotor.id).show(rotor, now);
      for (const [id, card] of this.cards) {
        card.root.classList.toggle("lost", card.seen !== now);
        if (now - card.seen > KEPT_MS) {
          card.root.remove();
          this.cards.delete(id);
          if (this.chosen === id) this.chosen = null;
        }
      }
      if (this.chosen === null && rotors.length) this.choose(rotors[0].id);
      this.none.hidden = this.cards.size > 0;
    }

    choose(id) {
      this.chosen = id;
      for (const [each, card] of this.cards) {
        card.root.classList.toggle("chosen", each === id);
        card.root.setAttribute("aria-pressed", String(each === id));
      }
      this.onChosen(id);
    }

    clear() {
      for (const card of this.cards.values()) card.root.remove();
      this.cards.clear();
      this.chosen = null;
      this.none.hidden = false;
    }

    card(id) {
      let card = this.cards.get(id);
      if (!card) {
        card = new RotorCard(id, () => this.choose(id));
        this.cards.set(id, card);
        const ids = [...this.cards.keys()].sort((a, b) => a - b);
        const next = this.cards.get(ids[ids.indexOf(id) + 1]);
        this.folder.insertBefore(card.root, next ? next.root : null);
      }
      return card;
    }
  }

  class RotorCard {
    constructor(id, chosen) {
      this.seen = 0;
      const root = (this.root = evio.element("div", "card rotor"));
      this.id = id;
      this.color();
      root.dataset.rotor = id;
      root.tabIndex = 0;
      root.setAttribute("role", "button");
      root.addEventListener("click", chosen);
      root.addEventListener("keydown", (event) => {
        if (event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault(); // the space bar plays and pauses elsewhere
        event.stopPropagation();
        chosen();
      });
      root.append(this.makeDial());
      const top = evio.element("div", "top");
      this.name = evio.element("span", "", `rotor ${id}`);
      this.blades = evio.element("span");
      top.append(this.name, this.blades);
      this.rpm = evio.element("div", "rpm");
      this.value = evio.element("span", "value");
      this.std = evio.element("small");
      this.rpm.append(this.value, this.std);
      this.facts = evio.element("div", "facts");
      const meter = evio.element("div", "meter");
      meter.title = "confidence: probability that the speed is right to 1 %";
      const track = evio.element("span");
      this.bar = evio.element("i");
      this.confidence = evio.element("small");
      track.append(this.bar);
      meter.append(track, this.confidence);
      root.append(top, this.rpm, this.facts, meter);
    }

    color() {
      this.root.style.setProperty("--rotor", evio.color(this.id));
    }

    makeDial() {
      const dial = document.createElementNS(SVG, "svg");
      dial.setAttribute("class", "dial");
      dial.setAttribute("viewBox", "-32 -32 64 64");
      dial.innerHTML =
        '<circle r="29" fill="none" stroke="currentColor" stroke-width="2" opacity=".35"/>' +
        '<g class="hand" stroke="currentColor" stroke-linecap="round"></g>' +
        '<circle r="3" fill="currentColor"/>' +
        '<g class="sense" fill="none" stroke="currentColor" stroke-width="2.4" stroke-linecap="round">' +
        '<path d="M-15-15A21 21 0 0 1 15-15"/><path d="M15-15l-1-6M15-15l-6 .6"/></g>';
      this.hand = dial.querySelector(".hand");
      this.sense = dial.querySelector(".sense");
      return dial;
    }

    show(rotor, now) {
      this.seen = now;
      const root = this.root;
      root.dataset.rpm = rotor.rpm;
      const { rpm, std } = evio.speed(rotor.rpm, rotor.rpm_std);
      evio.setText(this.value, rpm);
      evio.setText(this.std, std === null ? "rpm" : `± ${std} rpm`);
      const blades = rotor.blade_count;
      const count = blades === 0 ? "blades unknown" : blades === 1 ? "one mark" : `${blades} blades`;
      evio.setText(this.blades, rotor.group ? `${count} · vehicle ${rotor.group}` : count);
      evio.setText(
        this.facts,
        `${evio.minus(rotor.turns.toFixed(1))} turns · ${(rotor.rpm / 60).toFixed(1).replace("-", "\u2212")} Hz · ` +
          `at ${rotor.center_x.toFixed(0)}, ${rotor.center_y.toFixed(0)} px`,
      );
      this.bar.style.width = `${(100 * rotor.confidence).toFixed(1)}%`;
      const sure = rotor.confidence > 0.99 ? "> 99 %" : `${(100 * rotor.confidence).toFixed(0)} %`;
      evio.setText(this.confidence, `${rotor.is_predicted ? "predicted, " : ""}confidence ${sure}`);
      root.classList.toggle("unsure", rotor.confidence < 0.5);
      this.turn(rotor);
    }

    turn(rotor) {
      const blades = Math.max(1, Math.min(12, rotor.blade_count));
      if (this.drawn !== blades) {
        this.drawn = blades;
        let lines = "";
        for (let i = 0; i < blades; i++) {
          lines += `<path d="M4 0H26" stroke-width="${i ? 2 : 5}" opacity="${i ? 0.6 : 1}" transform="rotate(${(360 * i) / blades})"/>`;
        }
        this.hand.innerHTML = lines;
      }
      this.hand.setAttribute("transform", `rotate(${((rotor.angle * 180) / Math.PI).toFixed(1)})`);
      this.sense.setAttribute("transform", rotor.rpm < 0 ? "scale(-1 1)" : "");
    }
  }

  evio.RotorCards = RotorCards;
})();
