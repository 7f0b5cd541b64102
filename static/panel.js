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
let lastLive = document.getElementById("live")?.outerHTML;  // as the panel sent it, without what this script added
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
    seenSeconds = Number(response.headers.get("X-Worker-Seen") ?? NaN);
    seenAt = Date.now();
    countAges();
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
  const sent = fresh.outerHTML;
  if (sent !== lastLive) swap(fresh);
  lastLive = sent;
  for (const id of ["glance", "attention", "banner"]) {
    const [old, next] = [document.getElementById(id), page.getElementById(id)];
    if (old && next && next.outerHTML !== old.outerHTML) old.replaceWith(next);
  }
  setClock(page.body.dataset.now);
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
  addCopyButtons();
  countAges();
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
  const moment = new Date(Date.now() + clockOffset).toISOString();
  if (mark) mark.textContent = `updated ${moment.slice(11, 19)}`;
  const printed = document.querySelector("[data-as-of]");
  if (printed) printed.textContent = moment.slice(0, 19).replace("T", " ");
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

// Ages are counted here, so that the panel sends nothing while only time passes. `clock` is the panel's time, not this machine's.
let clockOffset = 0;
let seenSeconds = NaN;
let seenAt = Date.now();

function setClock(now) {
  if (now) clockOffset = Date.parse(now) - Date.now();
}

// The two largest units, as the panel writes them: 2 h 5 min.
function duration(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const parts = [[Math.floor(whole / 86400), "d"], [Math.floor(whole / 3600) % 24, "h"], [Math.floor(whole / 60) % 60, "min"], [whole % 60, "s"]];
  const first = Math.max(0, parts.findIndex(([number]) => number) === -1 ? 3 : parts.findIndex(([number]) => number));
  return parts.slice(first, first + 2).filter(([number], index) => number || first + index === 3).map((part) => part.join(" ")).join(" ");
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function countAges() {
  const now = Date.now() + clockOffset;
  document.querySelectorAll("time[data-ago]").forEach((time) => {
    const [number, unit] = duration((now - Date.parse(time.dateTime)) / 1000).split(" ");
    const ago = unit === "s" ? "just now" : `${number} ${unit} ago`;
    if (time.dataset.ago !== ago) { time.dataset.ago = ago; time.title = `UTC, ${ago}`; }
  });
  document.querySelectorAll("[data-since]").forEach((span) => setText(span, duration((now - Date.parse(span.dataset.since)) / 1000)));
  if (!Number.isNaN(seenSeconds)) document.querySelectorAll("[data-seen]").forEach((span) => setText(span, duration(seenSeconds + (Date.now() - seenAt) / 1000)));
}

// A button beside each id and hash copies the whole text. It needs a secure context, as every page over HTTPS or on this machine is.
function addCopyButtons() {
  if (!navigator.clipboard) return;
  document.querySelectorAll("[data-copy]").forEach((source) => {
    if (source.nextElementSibling?.classList.contains("copy")) return;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy";
    button.setAttribute("aria-label", `Copy ${source.dataset.copy}`);
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(source.dataset.copy);
      button.classList.add("done");
      button.setAttribute("aria-label", `Copied ${source.dataset.copy}`);
      setTimeout(() => { button.classList.remove("done"); button.setAttribute("aria-label", `Copy ${source.dataset.copy}`); }, 2000);
    });
    source.after(button);
  });
}

setClock(document.body.dataset.now);
addSelectAll();
addCopyButtons();
if (live()) setInterval(countAges, 1000);
schedule();
