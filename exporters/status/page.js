"use strict";
(() => {
  // Fragments of the same HTML that the server rendered at first; nothing is computed here but ages.
  const STALE_AFTER = 6, RETRY_AFTER = 3;
  const live = document.getElementById("live");
  const pause = document.getElementById("pause");
  let stream = null, paused = false, connected = false, retry = 0;
  let takenAt = performance.now() - Number(live.dataset.age) * 1000;
  let lostAt = 0, pausedAt = 0;

  function sameKind(a, b) {
    return a.nodeType === b.nodeType && a.nodeName === b.nodeName;
  }

  function keyOf(node) {
    return node.nodeType === Node.ELEMENT_NODE ? node.id || node.dataset.key || "" : "";
  }

  function morphAttributes(old, fresh) {
    for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
    for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }

  // Change only what differs, so that selected text, scroll and focus survive.
  function morph(old, fresh) {
    if (old.nodeType !== Node.ELEMENT_NODE) {
      if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
      return;
    }
    morphAttributes(old, fresh);
    morphChildren(old, fresh);
  }

  function morphChildren(old, fresh) {
    const keyed = new Map();
    for (const child of old.childNodes) if (keyOf(child)) keyed.set(keyOf(child), child);
    let at = old.firstChild;
    for (const child of [...fresh.childNodes]) {
      const key = keyOf(child);
      const known = key && keyed.get(key);
      if (known) {
        keyed.delete(key);
        if (known === at) at = at.nextSibling;
        else old.insertBefore(known, at);
        morph(known, child);
      } else if (at && !key && !keyOf(at) && sameKind(at, child)) {
        const next = at.nextSibling;
        morph(at, child);
        at = next;
      } else {
        old.insertBefore(child, at);
      }
    }
    while (at) {
      const next = at.nextSibling;
      at.remove();
      at = next;
    }
  }

  function take(message) {
    const { age, parts } = JSON.parse(message.data);
    takenAt = performance.now() - age * 1000;
    for (const [id, html] of Object.entries(parts)) {
      const fresh = document.createElement("template");
      fresh.innerHTML = html;
      const section = document.getElementById(id);
      morphChildren(section, fresh.content);
    }
    tell();
  }

  function connect() {
    clearTimeout(retry);
    stream = new EventSource("stream");
    stream.addEventListener("open", () => { connected = true; tell(); });
    stream.addEventListener("status", take);
    stream.addEventListener("error", () => {
      if (connected || !lostAt) lostAt = performance.now();
      connected = false;
      disconnect();
      retry = setTimeout(connect, RETRY_AFTER * 1000);
      tell();
    });
  }

  function disconnect() {
    clearTimeout(retry);
    if (stream) stream.close();
    stream = null;
  }

  function words(since) {
    const seconds = Math.max(0, (performance.now() - since) / 1000);
    if (seconds < 90) return `${Math.round(seconds)} s`;
    return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
  }

  function tell() {
    const old = (performance.now() - takenAt) / 1000 > STALE_AFTER;
    let text;
    if (paused) text = `Paused ${words(pausedAt)} ago`;
    else if (!connected && lostAt) text = `Connection lost ${words(lostAt)} ago, data ${words(takenAt)} old`;
    else if (old) text = `No new data for ${words(takenAt)}`;
    else text = `Live, ${words(takenAt)} old`;
    if (live.textContent !== text) live.textContent = text;
    document.body.classList.toggle("stale", !paused && (old || (!connected && lostAt > 0)));
    document.body.classList.toggle("paused", paused);
  }

  pause.addEventListener("click", () => {
    paused = !paused;
    pausedAt = performance.now();
    pause.textContent = paused ? "Resume" : "Pause";
    if (paused) disconnect();
    else connect();
    tell();
  });
  // A tab that nobody sees costs the node nothing.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) disconnect();
    else if (!paused && !stream) connect();
  });
  addEventListener("pagehide", disconnect);

  pause.hidden = false;
  live.removeAttribute("role"); // it changes each second: a screen reader would never stop
  setInterval(tell, 1000);
  connect();
})();
