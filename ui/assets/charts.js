// Draws the charts of a page with uPlot, which is loaded only if there are any. A chart is an
// element with data-chart: {"x": [seconds..], "series": [{"label", "kind", "values", "unit"}..]}.
// Its figures are in a table beside it, for those who do not see it.

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

function draw(element) {
  const { x, series } = JSON.parse(element.dataset.chart);
  element.plot?.destroy();
  const isUTC = document.documentElement.dataset.zone === "utc";
  const axis = { stroke: resolved("quiet"), grid: { stroke: resolved("line"), width: 1 }, ticks: { stroke: resolved("line"), width: 1 } };
  const unit = series[0]?.unit ?? "";
  element.plot = new uPlot({
    width: element.clientWidth, height: 200,
    tzDate: (seconds) => isUTC ? uPlot.tzDate(new Date(seconds * 1e3), "Etc/UTC") : new Date(seconds * 1e3),
    series: [{}, ...series.map((s) => ({
      label: s.label, stroke: resolved(s.kind), fill: s.isBars ? resolved(s.kind) : undefined, width: s.isBars ? 0 : 2,
      paths: s.isBars ? uPlot.paths.bars({ size: [0.8, 60] }) : undefined, points: { show: x.length < 3 },
      value: (_, value) => value == null ? "–" : `${value}${s.unit ?? ""}`,
    }))],
    axes: [axis, { ...axis, size: 64, values: (_, ticks) => ticks.map((tick) => `${tick}${unit}`) }],
    cursor: { drag: { x: false, y: false } },
  }, [x, ...series.map((s) => s.values)], element);
}

const sizes = new ResizeObserver((entries) => {
  for (const { target } of entries) target.plot?.setSize({ width: target.clientWidth, height: 200 });
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
