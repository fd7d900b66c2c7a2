// Keeps a page up to date: what is new of it arrives as events, and only what
// differs is touched, so that the focus, what is typed and what is open stay.
"use strict";

(() => {
  const main = document.querySelector("main[data-live]");
  const sign = document.getElementById("live");
  if (!main || !sign || !window.EventSource) return;

  const same = (a, b) => a.nodeType === b.nodeType && a.nodeName === b.nodeName && (a.id || "") === (b.id || "");

  // What people have opened stays open.
  const attributes = (from, to) => {
    for (const { name } of [...from.attributes]) {
      if (!to.hasAttribute(name) && !(name === "open" && from.nodeName === "DETAILS")) from.removeAttribute(name);
    }
    for (const { name, value } of to.attributes) {
      if (from.getAttribute(name) !== value && name !== "autofocus") from.setAttribute(name, value);
    }
  };

  const morph = (from, to) => {
    let at = from.firstChild;
    for (const next of [...to.childNodes]) {
      if (next.id && (!at || at.id !== next.id)) {
        const there = [...from.children].find((child) => child.id === next.id);
        if (there) from.insertBefore(there, at), (at = there);
      }
      if (!at || !same(at, next)) {
        from.insertBefore(next, at);
        continue;
      }
      if (at.nodeType === Node.ELEMENT_NODE) {
        attributes(at, next);
        morph(at, next);
      } else if (at.data !== next.data) {
        at.data = next.data;
      }
      at = at.nextSibling;
    }
    while (at) {
      const gone = at;
      at = at.nextSibling;
      gone.remove();
    }
  };

  const say = (state, text) => {
    sign.hidden = false;
    sign.dataset.state = state;
    if (sign.lastElementChild.textContent !== text) sign.lastElementChild.textContent = text;
  };

  let source;
  const open = () => {
    if (source) return;
    source = new EventSource("/events?page=" + encodeURIComponent(location.pathname + location.search));
    source.onopen = () => say("on", "live");
    source.onerror = () => say("off", "reconnecting");
    source.addEventListener("page", (event) => {
      const next = new DOMParser().parseFromString("<main>" + event.data + "</main>", "text/html").querySelector("main");
      morph(main, next);
    });
  };
  const close = () => {
    if (source) source.close();
    source = undefined;
  };

  // A page that nobody looks at costs nobody anything.
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  addEventListener("pagehide", close);
  addEventListener("pageshow", () => document.hidden || open());
  say("off", "connecting");
  if (!document.hidden) open();
})();
