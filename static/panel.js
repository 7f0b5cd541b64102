// Two comforts; every page works without them.
"use strict";

// While something moves, the page keeps itself up to date: it fetches itself, and takes over what changed.
// `data-live` on #live says how many seconds to wait; without it nothing moves, and it looks again once a minute, or when somebody
// comes back to it. While nobody sees it, it asks for nothing.
const IDLE = 60;
const AWAY = 15;  // the longest wait for a panel that does not answer
const live = () => document.getElementById("live");
let failures = 0;
let timer;
let last = document.querySelector("[data-live-text]")?.textContent;
let version = "";  // the ETag of what is shown, so that a page in which nothing changed is not sent again

function schedule() {
  if (!live()) return;
  const seconds = Number(live().dataset.live ?? IDLE);
  timer = setTimeout(refresh, 1000 * (failures ? Math.min(2 ** failures, AWAY) : seconds));
  document.onvisibilitychange = refresh;
}

async function refresh() {
  clearTimeout(timer);
  if (document.hidden) return;
  document.onvisibilitychange = null;
  try {
    const asked = { Accept: "text/html", "X-Refresh": "1", ...(version && { "If-None-Match": version }) };
    const answer = await fetch(location.href, { headers: asked, cache: "no-store" });
    if (answer.status !== 304) {
      if (!answer.ok) throw new Error(answer.statusText);
      take(new DOMParser().parseFromString(await answer.text(), "text/html"));
      version = answer.headers.get("ETag") ?? "";
    }
    failures = 0;
    say(last);
  } catch {
    failures += 1;
    say("The panel does not answer at the moment; this is what it said last.");
  }
  schedule();
}

function take(page) {
  const fresh = page.getElementById("live");
  if (!fresh) throw new Error("no such part");
  if (fresh.outerHTML !== live().outerHTML) swap(fresh);
  const glance = page.getElementById("glance");
  if (glance && glance.innerHTML !== document.getElementById("glance")?.innerHTML) document.getElementById("glance")?.replaceChildren(...glance.childNodes);
  last = page.querySelector("[data-live-text]")?.textContent;
}

// Where the reader is survives the swap: the focus, what is unfolded, what was typed and ticked, how far tables are scrolled.
function swap(fresh) {
  const old = live();
  const active = old.contains(document.activeElement) ? document.activeElement : null;
  const focused = active && address(active);
  const caret = active?.selectionStart;
  const open = [...old.querySelectorAll("details[open]")].map((each) => each.id);
  const scrolled = [...old.querySelectorAll(".scroll")].map((each) => [address(each), each.scrollLeft]);
  const touched = [...old.querySelectorAll("input[id]")].filter((each) => each.value !== each.defaultValue || each.checked);
  old.replaceWith(fresh);
  open.forEach((id) => document.getElementById(id)?.setAttribute("open", ""));
  scrolled.forEach(([where, left]) => { const again = fresh.querySelector(where); if (again) again.scrollLeft = left; });
  touched.forEach(({ id, value, checked }) => { const again = document.getElementById(id); if (again) Object.assign(again, { value, checked }); });
  offerSelecting();
  const again = focused && fresh.querySelector(focused);
  again?.focus({ preventScroll: true });
  if (caret != null) again?.setSelectionRange?.(caret, caret);
}

// A selector that finds the same thing on the fresh page.
function address(element) {
  const name = ["id", "href", "aria-label"].find((each) => element.getAttribute(each));
  return name ? `[${name}="${CSS.escape(element.getAttribute(name))}"]` : element.localName;
}

// A polite live region: only what differs is said.
function say(text) {
  const pulse = document.querySelector("[data-live-text]");
  if (!pulse || !text) return;
  if (pulse.textContent !== text) pulse.textContent = text;
  pulse.className = failures ? "trouble" : "unseen";  // while all is well the page itself shows it
}

// One box in the head of a list ticks all of the page, Shift ticks a range, and the bar says how many are ticked.
function offerSelecting() {
  const head = document.querySelector("table[data-selectable] th.tick");
  const boxes = [...document.querySelectorAll("table[data-selectable] td.tick input")];
  if (!head || !boxes.length) return;
  const all = document.createElement("input");
  all.type = "checkbox";
  all.setAttribute("aria-label", "Select all of this page");
  const told = document.querySelector("[data-ticked]");
  let last = null;
  const show = () => {
    const ticked = boxes.filter((box) => box.checked).length;
    all.checked = ticked === boxes.length;
    all.indeterminate = ticked > 0 && !all.checked;
    if (told) told.textContent = `${ticked} selected:`;
  };
  all.addEventListener("change", () => { boxes.forEach((box) => { box.checked = all.checked; }); show(); });
  boxes.forEach((box, place) => box.addEventListener("click", (event) => {
    if (event.shiftKey && last !== null) {
      boxes.slice(Math.min(last, place), Math.max(last, place) + 1).forEach((each) => { each.checked = box.checked; });
    }
    last = place;
    show();
  }));
  head.append(all);
  show();
}

offerSelecting();
schedule();
