// What all scripts of the page share: addresses, numbers as text, colours, theme.
"use strict";

window.evio = (() => {
  const config = () => JSON.parse(document.getElementById("_dash-config").textContent);
  let prefix = null;

  /** Address below the page's own, so that a proxy may put the dashboard under a path. */
  function address(path) {
    prefix ??= config().requests_pathname_prefix || "/";
    return prefix + path;
  }

  function socketAddress(path) {
    const url = new URL(address(path), location.href);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    return url.href;
  }

  /** JSON of an answer; throws an Error with the server's own words. */
  async function ask(path, body) {
    const options = body === undefined ? {} : {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    };
    const answer = await fetch(address(path), { cache: "no-store", ...options });
    const told = await answer.json().catch(() => ({}));
    if (answer.ok) return told;
    const detail = told.detail;
    const text = Array.isArray(detail) ? detail.map((one) => one.msg).join("; ") : detail;
    throw new Error(text || `${answer.status} ${answer.statusText}`);
  }

  const byId = (id) => document.getElementById(id);

  function element(tag, className, text) {
    const made = document.createElement(tag);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  }

  /** Sets text only where it differs: the browser lays out nothing for what stays. */
  function setText(node, text) {
    if (node.textContent !== text) node.textContent = text;
  }

  const minus = (text) => text.replace("-", "\u2212");

  /** 12 345 678 -> "12.3 M". */
  function short(value) {
    if (value === null || value === undefined || !Number.isFinite(value)) return "\u2013";
    const size = Math.abs(value);
    for (const [unit, name] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]]) {
      if (size >= unit) return `${(value / unit).toPrecision(3)} ${name}`;
    }
    return String(Math.round(value * 10) / 10);
  }

  /** A speed with as many decimals as its standard deviation leaves room for. */
  function speed(rpm, std) {
    const known = Number.isFinite(std) && std > 0;
    const decimals = known ? Math.min(3, Math.max(0, 1 - Math.floor(Math.log10(std)))) : 1;
    return { rpm: minus(rpm.toFixed(decimals)), std: known ? std.toFixed(decimals) : null };
  }

  const seconds = (us) => (us / 1e6).toFixed(2);

  // The same hues for dark grounds, where the events are drawn, and for light cards.
  const palettes = {
    dark: document.querySelector("meta[name='rotor-colors']").content.split(" "),
    light: ["#0f8a55", "#a86b00", "#c22c7d", "#0f7aa0", "#6d4fd6", "#c94a1d", "#5c7a14", "#3763d8"],
  };
  /** Colour of a rotor on a dark ground, or on the theme's cards. */
  const color = (id, ground = theme()) => palettes[ground][id % palettes[ground].length];

  /** Sensor time; where it is the time of day, as that. */
  function clock(us) {
    if (us < 1e15) return `${seconds(us)} s`;
    return `${new Date(us / 1e3).toISOString().slice(0, 22).replace("T", " ")} UTC`;
  }

  // The theme: the system's, until the user chooses.
  const themes = [];
  function storedTheme() {
    try { return localStorage.getItem("evio-theme"); } catch { return null; }
  }
  function theme() {
    return document.documentElement.dataset.theme;
  }
  function setTheme(name) {
    document.documentElement.dataset.theme = name;
    for (const follow of themes) follow();
  }
  const dark = matchMedia("(prefers-color-scheme: dark)");
  setTheme(storedTheme() ?? (dark.matches ? "dark" : "light"));
  dark.addEventListener("change", () => {
    if (!storedTheme()) setTheme(dark.matches ? "dark" : "light");
  });
  function toggleTheme() {
    const next = theme() === "dark" ? "light" : "dark";
    try { localStorage.setItem("evio-theme", next); } catch { /* not kept */ }
    setTheme(next);
  }
  const onTheme = (follow) => themes.push(follow);
  const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  return {
    address, socketAddress, ask, byId, element, setText, minus, short, speed, seconds, clock, color, toggleTheme, onTheme, style,
  };
})();
