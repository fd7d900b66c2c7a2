// Keeps a page up to date: what is new of it arrives as events, and only what
// differs is touched, so that the focus, what is typed and what is open stay.
"use strict";

(() => {
  const main = document.querySelector("main[data-live]");
  const sign = document.getElementById("live");
  if (!main || !sign || !window.EventSource) return;

  // What has an id is itself; of the rest, what looks alike is the same.
  const same = (a, b) =>
    a.nodeName === b.nodeName && (a.id || "") === (b.id || "") && (a.id || !a.classList || a.classList[0] === b.classList[0]);

  // What people have opened stays open.
  const attributes = (from, to) => {
    for (const { name } of [...from.attributes]) {
      if (!to.hasAttribute(name) && !(name === "open" && from.nodeName === "DETAILS")) from.removeAttribute(name);
    }
    for (const { name, value } of to.attributes) {
      if (from.getAttribute(name) !== value && name !== "autofocus") from.setAttribute(name, value);
    }
  };

  // Makes the children of one element those of another. What stays is not
  // moved where that can be helped: what has the focus would lose it.
  const morph = (from, to) => {
    const kept = new Set([...to.children].map((child) => child.id).filter(Boolean));
    let at = from.firstChild;
    for (const next of [...to.childNodes]) {
      if (next.nodeType === Node.ELEMENT_NODE) at = reach(from, at, next, kept);
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
    while (at) at = drop(at);
  };

  const drop = (node) => {
    const behind = node.nextSibling;
    node.remove();
    return behind;
  };

  // Returns where the element is to be: what is in its way and gone is dropped,
  // and where what is in its way stays, it is put before that.
  const reach = (from, at, next, kept) => {
    let there = at;
    while (there && !same(there, next)) there = there.nextSibling;
    if (!there || there === at) return at;
    while (at !== there) {
      if (at.id && kept.has(at.id)) {
        from.insertBefore(there, at);
        return there;
      }
      at = drop(at);
    }
    return there;
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
    // One that is over, as its session may be, does not come back by itself.
    source.onerror = () => say("off", source && source.readyState === EventSource.CLOSED ? "not live: load again" : "reconnecting");
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
