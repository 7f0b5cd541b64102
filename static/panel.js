// Live refresh and batch selection. Every page works without this script.
"use strict";

// A page with an element #live refreshes itself: it fetches its own address and replaces what changed.
// `data-live` on #live is the interval in seconds, at most IDLE_SECONDS; the panel answers 304 while nothing changes. A page that
// becomes visible refreshes at once. A hidden page sends no requests.
const IDLE_SECONDS = 3;
const MAX_RETRY_SECONDS = 15;  // longest backoff while the panel does not respond
const PATIENCE_SECONDS = 1.5;  // a response that takes longer is announced as missing, and still waited for
const NO_RESPONSE = "The panel does not respond. This page shows its last state.";
const live = () => document.getElementById("live");
let failures = 0;
let timer;
let lastStatus = document.querySelector("[data-live-text]")?.textContent;
let etag = "";  // of the page that is shown, so that the panel answers 304 if nothing changed

function schedule() {
  if (!live()) return;
  const seconds = Math.min(Number(live().dataset.live ?? IDLE_SECONDS), IDLE_SECONDS);
  timer = setTimeout(refresh, 1000 * (failures ? Math.min(2 ** failures, MAX_RETRY_SECONDS) : seconds));
  document.onvisibilitychange = refresh;
}

async function refresh() {
  clearTimeout(timer);
  if (document.hidden) return;
  document.onvisibilitychange = null;
  const late = setTimeout(announce, 1000 * PATIENCE_SECONDS, NO_RESPONSE, true);
  try {
    const headers = { Accept: "text/html", "X-Refresh": "1", ...(etag && { "If-None-Match": etag }) };
    const response = await fetch(location.href, { headers, cache: "no-store" });
    if (response.status === 503) throw new Error("database");
    if (response.status !== 304) {
      if (!response.ok) throw new Error(response.statusText);
      update(new DOMParser().parseFromString(await response.text(), "text/html"));
      etag = response.headers.get("ETag") ?? "";
    }
    failures = 0;
    announce(lastStatus);
    markUpdated();
  } catch (error) {
    failures += 1;
    const cause = error.message === "database" ? "The database does not respond. This page shows its last state." : NO_RESPONSE;
    announce(cause, true);
  } finally {
    clearTimeout(late);
  }
  schedule();
}

function update(page) {
  const fresh = page.getElementById("live");
  if (!fresh) throw new Error("the response has no #live element");
  if (fresh.outerHTML !== live().outerHTML) swap(fresh);
  const statusBar = page.getElementById("glance");
  if (statusBar && statusBar.innerHTML !== document.getElementById("glance")?.innerHTML) document.getElementById("glance")?.replaceChildren(...statusBar.childNodes);
  lastStatus = page.querySelector("[data-live-text]")?.textContent;
}

// Replaces #live and keeps the reader's state: focus, open details, typed values, ticked boxes, scroll positions of tables.
function swap(fresh) {
  const old = live();
  const active = old.contains(document.activeElement) ? document.activeElement : null;
  const activeSelector = active && selectorOf(active);
  const caret = active?.selectionStart;
  const open = [...old.querySelectorAll("details[open]")].map((details) => details.id);
  const scrolled = [...old.querySelectorAll(".scroll")].map((region) => [selectorOf(region), region.scrollLeft]);
  const edited = [...old.querySelectorAll("input[id]")].filter((input) => input.value !== input.defaultValue || input.checked);
  old.replaceWith(fresh);
  open.forEach((id) => document.getElementById(id)?.setAttribute("open", ""));
  scrolled.forEach(([selector, left]) => { const region = fresh.querySelector(selector); if (region) region.scrollLeft = left; });
  edited.forEach(({ id, value, checked }) => { const input = document.getElementById(id); if (input) Object.assign(input, { value, checked }); });
  addSelectAll();
  const focused = activeSelector && fresh.querySelector(activeSelector);
  focused?.focus({ preventScroll: true });
  if (caret != null) focused?.setSelectionRange?.(caret, caret);
}

// Returns a selector of the same element on the fresh page.
function selectorOf(element) {
  const name = ["id", "href", "aria-label"].find((attribute) => element.getAttribute(attribute));
  return name ? `[${name}="${CSS.escape(element.getAttribute(name))}"]` : element.localName;
}

// Says when the page was last confirmed; an answer 304 confirms it, too. Times are UTC, as on the whole page.
function markUpdated() {
  const mark = document.querySelector("[data-updated]");
  if (mark) mark.textContent = `updated ${new Date().toISOString().slice(0, 19).replace("T", " ")}`;
}

// Writes to the live region, if the text differs: screen readers announce each change.
function announce(text, isTrouble = false) {
  const region = document.querySelector("[data-live-text]");
  if (!region || !text) return;
  if (region.textContent !== text) region.textContent = text;
  region.className = isTrouble ? "trouble" : "unseen";  // hidden while refreshing works, since the page shows the same
}

// A box in the head of a list selects all rows of the page, Shift selects a range, and the bar shows the number of selected rows.
function addSelectAll() {
  const head = document.querySelector("table[data-selectable] th.tick");
  const boxes = [...document.querySelectorAll("table[data-selectable] td.tick input")];
  if (!head || !boxes.length) return;
  const all = document.createElement("input");
  all.type = "checkbox";
  all.setAttribute("aria-label", "Select all of this page");
  const label = document.querySelector("[data-ticked]");
  let last = null;
  const show = () => {
    const ticked = boxes.filter((box) => box.checked).length;
    all.checked = ticked === boxes.length;
    all.indeterminate = ticked > 0 && !all.checked;
    if (label) label.textContent = `${ticked} selected:`;
  };
  all.addEventListener("change", () => { boxes.forEach((box) => { box.checked = all.checked; }); show(); });
  boxes.forEach((box, index) => box.addEventListener("click", (event) => {
    if (event.shiftKey && last !== null) {
      boxes.slice(Math.min(last, index), Math.max(last, index) + 1).forEach((other) => { other.checked = box.checked; });
    }
    last = index;
    show();
  }));
  head.append(all);
  show();
}

addSelectAll();
schedule();
