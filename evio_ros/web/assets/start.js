// Brings the parts of the page together.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
  const events = new evio.EventCanvas(evio.byId("events"));
  const overlay = new evio.Overlay(evio.byId("overlay"));
  const charts = new evio.Charts();
  const cards = new evio.RotorCards(evio.byId("rotors"), evio.byId("no-rotors"), (id) => charts.choose(id));
  const video = new evio.Video((text) => evio.setText(evio.byId("share"), text));
  const stage = evio.byId("stage");
  const isOn = (id) => evio.byId(id).checked;
  let rotors = [], detections = [], size = null, isVideo = false, isEventsDue = false, stream = null;

  function sized(width, height) {
    if (size && size[0] === width && size[1] === height) return;
    size = [width, height];
    stage.style.aspectRatio = `${width} / ${height}`;
  }

  function takeStates(frame) {
    const windows = evio.rotorsOf(frame);
    if (frame.header.t_us < charts.newestUs) cards.clear();
    rotors = windows.get(frame.header.t_us) ?? [];
    for (const [t, past] of windows) charts.takePast(t, past);
    charts.take(frame.header, rotors);
    cards.show(rotors);
    document.documentElement.dataset.windows = String(
      Number(document.documentElement.dataset.windows ?? 0) + frame.header.windows);
  }

  function takeEvents(frame) {
    sized(frame.header.width, frame.header.height);
    events.take(frame);
    isEventsDue = true;
    evio.byId("empty").hidden = true;
    const share = frame.header.share;
    evio.setText(evio.byId("share"), share < 0.995 ? `${(100 * share).toPrecision(2)} % of the events are drawn` : "");
  }

  function paint(now) {
    requestAnimationFrame(paint);
    if (isEventsDue && !isVideo) {
      isEventsDue = false;
      events.draw();
    }
    // Pictures of the video hold rotors already.
    overlay.draw(size, isOn("with-rotors") && !isVideo ? rotors : [],
      isOn("with-detections") && !isVideo ? detections : [], cards.chosen);
    charts.draw(now);
  }

  function openEvents() {
    stream ??= evio.stream("ws/events", takeEvents);
  }

  function closeEvents() {
    stream?.close();
    stream = null;
  }

  function choose(wantsVideo) {
    if (wantsVideo === isVideo) return;
    isVideo = wantsVideo;
    evio.byId("show-video").classList.toggle("on", isVideo);
    evio.byId("show-events").classList.toggle("on", !isVideo);
    evio.byId("show-video").setAttribute("aria-pressed", String(isVideo));
    evio.byId("show-events").setAttribute("aria-pressed", String(!isVideo));
    evio.byId("events").hidden = isVideo;
    // A video comes as it is.
    for (const id of ["with-rotors", "with-detections", "persistence"]) evio.byId(id).disabled = isVideo;
    if (isVideo) {
      closeEvents();
      evio.byId("empty").hidden = true;
      video.start();
    } else {
      video.stop();
      evio.setText(evio.byId("share"), "");
      openEvents();
    }
  }

  evio.byId("show-events").addEventListener("click", () => choose(false));
  evio.byId("show-video").addEventListener("click", () => choose(true));
  evio.byId("persistence").addEventListener("change", (event) => {
    events.keptUs = Number(event.target.value) * 1000;
    isEventsDue = Boolean(size);
  });
  evio.byId("theme").addEventListener("click", evio.toggleTheme);
  evio.stream("ws/states", takeStates);
  openEvents();
  new evio.Status((status, isAtEnd) => {
    if (status?.width) sized(status.width, status.height);
    detections = status?.detections ?? [];
    // What is no longer true is not shown; at the end of a recording its last window stays.
    if (!status || (status.is_stale && !isAtEnd)) {
      rotors = [];
      cards.show(rotors);
      charts.lose();
    }
  });
  requestAnimationFrame(paint);
});
