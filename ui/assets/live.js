// Fetches the parts of a page again that have data-live when something happens, and now and then
// because some states change without an event. The focus, the scrolling and what somebody has
// entered or opened stay as they are. The button "Live" pauses it.

const atLeastEvery = 15e3; // ms
const atMostEvery = 2e3; // ms

const listener = document.getElementById("live");
const button = document.getElementById("live-pause");
let isPaused = sessionStorage.getItem("live-paused") === "true";
let refreshedAt = Date.now();
let timer;
let asked; // the page that is fetched again

const here = () => location.pathname + location.search;

function show() {
  button.setAttribute("aria-pressed", String(isPaused));
  button.textContent = isPaused ? "Paused" : "Live";
}

async function refresh() {
  timer = undefined;
  refreshedAt = Date.now();
  const parts = [...document.querySelectorAll("[data-live][id]")];
  // Somebody who chooses in a dialog or a menu of a part is not to be disturbed.
  if (isPaused || document.hidden || !parts.length || document.querySelector("dialog[open]")) return;
  asked = here();
  await htmx.ajax("GET", asked, {
    source: listener, swap: "none", selectOOB: parts.map((part) => `#${CSS.escape(part.id)}:outerMorph`).join(","),
  });
}

function soon() {
  timer ??= setTimeout(refresh, Math.max(0, refreshedAt + atMostEvery - Date.now()));
}

if (listener) {
  show();
  // Somebody has changed the filters meanwhile: what was asked for before is not to replace what
  // they see now.
  listener.addEventListener("htmx:before:swap", (event) => {
    if (asked !== here()) event.preventDefault();
  });
  listener.addEventListener("changed", soon);
  setInterval(() => {
    if (Date.now() - refreshedAt >= atLeastEvery) soon();
  }, 1e3);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) soon(); });
  button.addEventListener("click", () => {
    isPaused = !isPaused;
    sessionStorage.setItem("live-paused", String(isPaused));
    show();
    soon();
  });
}
