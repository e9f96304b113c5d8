// What the status tells (health, losses, playback) and what the user asks for.
"use strict";

(() => {
  const STATUS_MS = 500, SAID_MS = 6000;
  const LOSS = /lost|missed|dropped|refused|ignored|invalid|truncated|overflow|device_errors/;
  const FIRST = ["messages_lost", "messages_missed", "events_dropped_late", "messages_refused"];
  const STATES = { live: "live", paused: "paused", ended: "at the end", stale: "no data", off: "no connection", wait: "waiting" };

  let saidTimer = 0;
  /** Says what a command did, or why it was refused. */
  function say(text, isError = false) {
    const said = evio.byId("said");
    said.textContent = text;
    said.dataset.kind = isError ? "error" : "done";
    clearTimeout(saidTimer);
    saidTimer = setTimeout(() => { said.textContent = ""; }, SAID_MS);
  }

  async function command(path, body) {
    try {
      const told = await evio.ask(path, body);
      say(told.message ?? "");
    } catch (error) {
      say(error.message, true);
    }
  }

  class Player {
    constructor() {
      this.state = null;
      this.seeking = false;
      const seek = (this.seek = evio.byId("seek"));
      seek.addEventListener("input", () => {
        this.seeking = true;
        evio.setText(evio.byId("position"), evio.seconds(Number(seek.value)));
      });
      seek.addEventListener("change", async () => {
        await command("api/seek", { t_us: Number(seek.value) });
        this.seeking = false;
      });
      evio.byId("play").addEventListener("click", () => this.toggle());
      evio.byId("restart").addEventListener("click", () => command("api/restart", {}));
      evio.byId("rate").addEventListener("change", (event) =>
        command("api/speed", { rate: Number(event.target.value) }));
      document.addEventListener("keydown", (event) => this.key(event));
    }

    async toggle() {
      if (!this.state?.is_seekable) return;
      if (this.isEnded) {
        await command("api/restart", {});
        return;
      }
      const paused = !this.state.is_paused;
      await command("api/pause", { is_paused: paused });
      this.show({ ...this.state, is_paused: paused });
    }

    key(event) {
      if (/INPUT|SELECT|TEXTAREA|BUTTON|SUMMARY/.test(event.target.tagName)) return;
      const step = { ArrowLeft: -1e6, ArrowRight: 1e6 }[event.key];
      if (event.key === " " && this.state?.is_seekable) {
        event.preventDefault();
        this.toggle();
      } else if (step && this.state?.is_seekable) {
        const most = Math.max((this.state.duration_us ?? 1) - 1, 0);
        command("api/seek", { t_us: Math.min(Math.max(this.state.position_us + step, 0), most) });
      }
    }

    show(state, isEnded = false) {
      this.state = state;
      this.isEnded = isEnded;
      evio.byId("player").hidden = !state?.is_seekable;
      if (!state?.is_seekable) return;
      const play = evio.byId("play");
      play.dataset.paused = String(state.is_paused || isEnded);
      play.setAttribute("aria-label", isEnded ? "Play again" : state.is_paused ? "Play" : "Pause");
      const length = state.duration_us ?? 0;
      this.seek.max = String(Math.max(length - 1, 1));
      this.seek.step = String(Math.max(1, Math.round(length / 2000)));
      evio.setText(evio.byId("duration"), `${evio.seconds(length)} s`);
      if (!this.seeking) {
        this.seek.value = String(state.position_us);
        this.seek.setAttribute("aria-valuetext", `${evio.seconds(state.position_us)} s`);
        evio.setText(evio.byId("position"), evio.seconds(state.position_us));
      }
      this.showRate(state.rate);
    }

    showRate(rate) {
      const select = evio.byId("rate");
      if (rate === null || document.activeElement === select) return;
      if (![...select.options].some((option) => Number(option.value) === rate)) {
        select.add(new Option(String(rate), String(rate)));
      }
      select.value = [...select.options].find((option) => Number(option.value) === rate).value;
    }
  }

  class Health {
    constructor() {
      this.nodes = new Map();
      this.tiles = new Map();
    }

    show(reports) {
      const folder = evio.byId("health");
      const losses = new Map();
      for (const report of reports) {
        this.node(report.name, folder).show(report);
        for (const [name, value] of Object.entries(report.values)) {
          const count = Number(value);
          if (LOSS.test(name) && Number.isFinite(count) && !name.endsWith("_per_s")) {
            losses.set(name, (losses.get(name) ?? 0) + count);
          }
        }
      }
      const names = new Set(reports.map((report) => report.name));
      for (const [name, node] of this.nodes) {
        if (!names.has(name)) { node.root.remove(); this.nodes.delete(name); }
      }
      if (!reports.length) evio.setText(folder, "No node has reported yet");
      this.showLosses(losses);
    }

    node(name, folder) {
      let node = this.nodes.get(name);
      if (!node) {
        if (!this.nodes.size) folder.textContent = "";
        node = new NodeRow();
        this.nodes.set(name, node);
        folder.append(node.root);
      }
      return node;
    }

    showLosses(losses) {
      const shown = [...losses].filter(([name, count]) => count > 0 || FIRST.includes(name));
      const total = shown.reduce((sum, [, count]) => sum + count, 0);
      evio.setText(evio.byId("losses-sum"), losses.size ? (total ? "" : "nothing lost") : "");
      for (const [name, tile] of this.tiles) {
        if (!shown.some(([each]) => each === name)) { tile.remove(); this.tiles.delete(name); }
      }
      for (const [name, count] of shown) {
        let tile = this.tiles.get(name);
        if (!tile) {
          tile = evio.element("div", "tile");
          tile.append(evio.element("b"), evio.element("small", "", name.replaceAll("_", " ")));
          this.tiles.set(name, tile);
          evio.byId("losses").append(tile);
        }
        tile.classList.toggle("lost", count > 0);
        evio.setText(tile.firstChild, evio.short(count));
      }
    }
  }

  class NodeRow {
    constructor() {
      this.root = evio.element("details");
      const summary = evio.element("summary");
      this.level = evio.element("span", "level");
      this.name = evio.element("span", "name");
      this.message = evio.element("span", "message");
      summary.append(this.level, this.name, this.message);
      this.values = evio.element("div", "values");
      this.root.append(summary, this.values);
      this.fields = new Map();
    }

    show(report) {
      this.level.className = `level ${report.level}`;
      evio.setText(this.level, report.level);
      evio.setText(this.name, report.name);
      evio.setText(this.message, report.message);
      if (!this.root.open) return;
      const entries = Object.entries(report.values);
      for (const [name, field] of this.fields) {
        if (!(name in report.values)) { field.parentNode.remove(); this.fields.delete(name); }
      }
      for (const [name, value] of entries) {
        let field = this.fields.get(name);
        if (!field) {
          const row = evio.element("div");
          field = evio.element("span");
          row.append(evio.element("span", "", name), field);
          this.values.append(row);
          this.fields.set(name, field);
        }
        evio.setText(field, value);
      }
    }
  }

  class Parameters {
    constructor() {
      const card = evio.byId("parameters-card");
      card.addEventListener("toggle", () => { if (card.open) this.load(); });
      evio.byId("parameters-filter").addEventListener("input", () => this.filter());
    }

    async load() {
      const folder = evio.byId("parameters");
      try {
        const told = await evio.ask("api/parameters");
        // Those that can be changed come first.
        told.sort((a, b) => a.is_read_only - b.is_read_only);
        folder.replaceChildren(...told.map((one) => this.row(one)));
        if (!told.length) folder.textContent = "No node reports parameters";
        this.filter();
      } catch (error) {
        folder.textContent = error.message;
      }
    }

    filter() {
      const words = evio.byId("parameters-filter").value.toLowerCase();
      for (const row of evio.byId("parameters").children) {
        row.hidden = !row.textContent.toLowerCase().includes(words);
      }
    }

    row(one) {
      const row = evio.element("div", "parameter");
      row.append(evio.element("code", "", `${one.node} ${one.name}`));
      const isBool = typeof one.value === "boolean", isNumber = typeof one.value === "number";
      const input = evio.element("input");
      input.type = isBool ? "checkbox" : isNumber ? "number" : "text";
      input.disabled = one.is_read_only;
      input.setAttribute("aria-label", `${one.node} ${one.name}`);
      if (isBool) input.checked = one.value;
      else input.value = one.value;
      if (isNumber) {
        input.step = "any";
        if (one.minimum !== null) input.min = one.minimum;
        if (one.maximum !== null) input.max = one.maximum;
      }
      const note = evio.element("small", "", one.is_read_only ? `${one.doc} (at start)` : one.doc);
      input.addEventListener("change", async () => {
        const value = isBool ? input.checked : isNumber ? Number(input.value) : input.value;
        try {
          const told = await evio.ask("api/parameters", { node: one.node, name: one.name, value });
          one.value = value;
          note.dataset.kind = "done";
          note.textContent = told.message;
        } catch (error) {
          note.dataset.kind = "error";
          note.textContent = error.message;
          if (isBool) input.checked = one.value;
          else input.value = one.value;
        }
      });
      row.append(input, note);
      return row;
    }
  }

  /** Asks for the status again and again, and shows it. */
  class Status {
    constructor(shown) {
      this.player = new Player();
      this.health = new Health();
      this.shown = shown;
      new Parameters();
      this.ask();
    }

    async ask() {
      if (!document.hidden) {
        try {
          this.show(await evio.ask("api/status"));
        } catch (error) {
          this.fail(error);
        }
      }
      setTimeout(() => this.ask(), STATUS_MS);
    }

    fail(error) {
      this.endUs = null;
      const isOffline = error instanceof TypeError;
      this.problem(isOffline ? "The dashboard's server does not answer." : error.message);
      this.pill("off");
      this.shown(null);
    }

    problem(text) {
      const line = evio.byId("problem");
      evio.setText(line, text);
      line.hidden = !text;
    }

    pill(state) {
      const pill = evio.byId("state");
      pill.dataset.state = state;
      evio.setText(pill, STATES[state]);
      evio.byId("stage").dataset.state = state;
    }

    isAtEnd(playback) {
      return Boolean(playback?.is_seekable && playback.is_at_end && !playback.is_paused);
    }

    /** Whether a recording has been at its end for two answers; one that repeats is not. */
    isEnded({ playback, t_us }) {
      const isThere = this.isAtEnd(playback);
      const isStill = isThere && this.endUs === t_us;
      this.endUs = isThere ? t_us : null;
      return isStill;
    }

    /** Why no rotor is found, as the nodes tell. */
    reasons(health) {
      const told = health.flatMap((one) =>
        Object.entries(one.values).filter(([name]) => name.startsWith("no_rotor_")).map(([, why]) => why));
      const list = evio.byId("no-rotors-why");
      list.hidden = !told.length;
      if (list.dataset.told === told.join("\n")) return;
      list.dataset.told = told.join("\n");
      list.replaceChildren(...told.map((why) => evio.element("li", "", why)));
    }

    show(status) {
      evio.setText(evio.byId("title"), status.title);
      evio.byId("title").title = status.playback?.source ?? status.title;
      document.title = `${status.title} · evio`;
      const { playback } = status;
      const isEnded = this.isEnded(status);
      this.problem(status.problem);
      this.pill(playback?.is_paused ? "paused" : isEnded ? "ended" : status.t_us === null ? "wait"
        : status.is_stale ? "stale" : "live");
      evio.setText(evio.byId("event-rate"), status.is_stale ? "\u2013" : evio.short(status.event_rate_hz));
      evio.setText(evio.byId("sensor"), status.width ? `${status.width} × ${status.height}` : "\u2013");
      evio.setText(evio.byId("clock"), status.t_us === null ? "\u2013" : evio.clock(status.t_us));
      this.reasons(status.health);
      this.player.show(playback, isEnded);
      this.health.show(status.health);
      this.shown(status, this.isAtEnd(playback));
    }
  }

  evio.Status = Status;
})();
