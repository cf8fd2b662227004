// Single keys: / searches, j and k choose a row, Enter opens it, ? helps, and g with another key
// opens a page. They do nothing while somebody types.

let isGoing = false; // g was pressed

const isTyping = (element) => element.matches?.("input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable]");

function rows() {
  return [...document.querySelectorAll("main .table tbody tr")].filter((row) => row.querySelector("a[href], button"));
}

// choose gives the focus to what opens the next row, or the one before.
function choose(step) {
  const all = rows();
  if (!all.length) return;
  const current = all.findIndex((row) => row.contains(document.activeElement));
  const next = current < 0 ? (step > 0 ? 0 : all.length - 1) : Math.min(Math.max(current + step, 0), all.length - 1);
  all[next].querySelector("a[href], button").focus();
  all[next].scrollIntoView({ block: "nearest" });
}

function go(key) {
  document.querySelector(`.top nav a[data-key="${CSS.escape(key)}"]`)?.click();
}

const keys = {
  "/": () => document.querySelector("main input[type=search]")?.focus(),
  "?": () => document.getElementById("keys").showModal(),
  j: () => choose(1),
  k: () => choose(-1),
  p: () => document.getElementById("live-pause")?.click(),
  g: () => {
    isGoing = true;
    setTimeout(() => { isGoing = false; }, 1500);
  },
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target) || document.querySelector("dialog[open]")) return;
  if (isGoing) {
    isGoing = false;
    go(event.key);
  } else if (keys[event.key]) {
    keys[event.key]();
  } else {
    return;
  }
  event.preventDefault();
});
