// Keeps times up to date, and shows them in the browser's zone if the service did not know it.

const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
// A cookie tells the service, for the next page.
const known = document.cookie.includes(`browser-zone=${encodeURIComponent(zone)}`);
if (!known) {
  document.cookie = `browser-zone=${encodeURIComponent(zone)}; path=/; max-age=31536000; samesite=lax`;
}

// The service's clock counts, whatever the browser's says.
const ahead = Date.now() - Date.parse(document.documentElement.dataset.now);

const units = [[1000, 1, "ms"], [60e3, 1e3, "s"], [3600e3, 60e3, "m"], [48 * 3600e3, 3600e3, "h"], [Infinity, 24 * 3600e3, "d"]];

// short is a duration by its largest unit, as the service writes it.
export function short(ms) {
  const [, size, unit] = units.find(([limit]) => ms < limit);
  return Math.floor(ms / size) + unit;
}

function fromNow(instant) {
  const ms = instant - (Date.now() - ahead);
  if (Math.abs(ms) < 1000) return "now";
  return ms < 0 ? `${short(-ms)} ago` : `in ${short(ms)}`;
}

const format = new Intl.DateTimeFormat("sv-SE", { dateStyle: "short", timeStyle: "medium", timeZone: zone });
const named = new Intl.DateTimeFormat("en-GB", { timeZoneName: "short", timeZone: zone });

// at is an instant in the browser's zone, with the zone beside it.
export function at(instant) {
  const name = named.formatToParts(instant).find((part) => part.type === "timeZoneName").value;
  return `${format.format(instant)} ${name}`;
}

function set(element, text) {
  if (element && element.textContent !== text) element.textContent = text;
}

function update() {
  for (const element of document.querySelectorAll("time[datetime]")) {
    const instant = Date.parse(element.dateTime);
    set(element.querySelector(".from-now"), fromNow(instant));
    if (!known && element.dataset.in === "browser") set(element.querySelector(".at"), at(instant));
  }
}

update();
setInterval(update, 1000);
document.addEventListener("htmx:after:swap", update);
