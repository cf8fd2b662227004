// Draws the charts of a page with uPlot, which is loaded only if there are any. A chart is an
// element with data-chart: {"x": [seconds..], "series": [{"label", "kind", "values", "unit"}..]}.
// Its figures are in a table beside it, for those who do not see it.

const height = 200;
const here = new URL(".", import.meta.url);
let loading;

function load() {
  loading ??= new Promise((resolve, reject) => {
    const style = document.createElement("link");
    style.rel = "stylesheet";
    style.href = new URL("vendor/uplot-1.6.32.min.css", here);
    const script = document.createElement("script");
    script.src = new URL("vendor/uplot-1.6.32.min.js", here);
    script.onload = resolve;
    script.onerror = reject;
    document.head.append(style, script);
  });
  return loading;
}

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

// resolved is a colour as the canvas needs it: light-dark() is known to styles only.
function resolved(name) {
  const probe = document.createElement("span");
  probe.className = name;
  probe.style.color = `var(--${name})`;
  document.body.append(probe);
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value || colour(name);
}

// stacked are the values of bars on top of those of the series before.
function stacked(series) {
  const below = [];
  return series.map((s) => s.isBars ? s.values.map((value, i) => (below[i] = (below[i] ?? 0) + value)) : s.values);
}

// ticksOf writes the instants below a chart: days at midnight and between days, and else times.
// What stands there already is not repeated.
function ticksOf(timeZone) {
  const time = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", timeZone });
  const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", timeZone });
  return (_, ticks, __, ___, step) => ticks.map((tick) => {
    const text = time.format(tick * 1e3);
    return step >= 86400 || text === "00:00" ? day.format(tick * 1e3) : text;
  }).map((text, i, all) => text === all[i - 1] ? "" : text);
}

function draw(element) {
  const { x, series } = JSON.parse(element.dataset.chart);
  element.plot?.destroy();
  const isUTC = document.documentElement.dataset.zone === "utc";
  const axis = { stroke: resolved("quiet"), grid: { stroke: resolved("line"), width: 1 }, ticks: { stroke: resolved("line"), width: 1 } };
  const unit = series[0]?.unit ?? "";
  const values = stacked(series);
  // The highest bars come first, so that those below them are drawn over them.
  const order = series.map((_, i) => i);
  if (series[0]?.isBars) order.reverse();
  const line = (s) => ({
    label: s.label, stroke: resolved(s.kind), fill: s.isBars ? resolved(s.kind) : undefined, width: s.isBars ? 0 : 2,
    paths: s.isBars ? uPlot.paths.bars({ size: [0.8, 60] }) : undefined, points: { show: !s.isBars && s.values.filter((value) => value != null).length < 3 },
    value: (_, __, ___, i) => i == null || s.values[i] == null ? "–" : `${s.values[i]}${s.unit ?? ""}`,
  });
  element.plot = new uPlot({
    width: element.clientWidth, height,
    tzDate: (seconds) => isUTC ? uPlot.tzDate(new Date(seconds * 1e3), "Etc/UTC") : new Date(seconds * 1e3),
    series: [{}, ...order.map((i) => line(series[i]))],
    scales: { y: { range: (_, __, most) => [0, most || 1] } },
    axes: [{ ...axis, values: ticksOf(isUTC ? "UTC" : undefined) }, { ...axis, size: 64, values: (_, ticks) => ticks.map((tick) => `${tick}${unit}`) }],
    legend: { markers: { width: 1 } },
    cursor: { drag: { x: false, y: false } },
  }, [x, ...order.map((i) => values[i])], element);
}

const sizes = new ResizeObserver((entries) => {
  for (const { target } of entries) target.plot?.setSize({ width: target.clientWidth, height });
});

async function update() {
  const elements = [...document.querySelectorAll("[data-chart]")].filter((element) => element.drawn !== element.dataset.chart);
  if (!elements.length) return;
  await load();
  for (const element of elements) {
    element.drawn = element.dataset.chart;
    draw(element);
    sizes.observe(element);
  }
}

update();
document.addEventListener("htmx:after:swap", update);
