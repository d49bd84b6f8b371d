// What the page adds to its HTML: charts, arrow keys in the heat map, and the way from Airflow's frame to its other pages.
"use strict";

const data = (id) => JSON.parse(document.getElementById(id).textContent);
const percent = (share) => `${(100 * share).toFixed(share < 0.01 ? 2 : 1)} %`;
const day = (milliseconds) =>
  new Date(milliseconds).toLocaleDateString("en-GB", { day: "numeric", month: "short", year: "numeric", timeZone: "UTC" });

// Colours are the style sheet's: one place says how a window looks, in both themes.
function colour(name, alpha = 1) {
  const probe = document.createElement("i");
  probe.className = `ink-${name}`;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  const [red, green, blue] = found.match(/[\d.]+/g).map(Number);
  return `rgba(${red}, ${green}, ${blue}, ${alpha})`;
}

function common() {
  const ink = colour("soft"), line = colour("line");
  const axis = { grid: { color: line }, border: { color: line }, ticks: { color: ink, maxRotation: 0, autoSkipPadding: 16 } };
  return {
    axis,
    options: {
      animation: false,
      maintainAspectRatio: false,
      interaction: { mode: "index", intersect: false },
      plugins: { legend: { align: "start", labels: { color: colour("ink"), boxWidth: 14, boxHeight: 10, filter: (item) => item.text } } },
    },
  };
}

function overlay(canvas) {
  const told = data(canvas.dataset.from), { axis, options } = common();
  const isHistogram = told.edges.length > 0;
  const before = { label: `learned by version ${told.version}`, data: told.before, backgroundColor: colour("learned", 0.35) };
  const now = { label: told.title, data: told.now }, weeks = { label: "the windows before", data: told.weeks };
  if (isHistogram) {
    Object.assign(before, { type: "bar", grouped: false, barPercentage: 1, categoryPercentage: 1, order: 2 });
    Object.assign(now, {
      type: "line", stepped: "middle", pointRadius: 0, borderWidth: 2, order: 1, fill: "origin",
      borderColor: colour("now"), backgroundColor: colour("now", 0.12),
    });
    Object.assign(weeks, {
      type: "line", stepped: "middle", pointRadius: 0, borderWidth: 1.5, borderDash: [4, 3], order: 0, borderColor: colour("soft"),
    });
  } else {
    Object.assign(before, { type: "bar", categoryPercentage: 0.8, barPercentage: 1 });
    Object.assign(weeks, { type: "bar", categoryPercentage: 0.8, barPercentage: 1, backgroundColor: colour("soft", 0.6) });
    Object.assign(now, { type: "bar", categoryPercentage: 0.8, barPercentage: 1, backgroundColor: colour("now", 0.85) });
  }
  options.plugins.legend.reverse = isHistogram; // the order they are drawn in is not the order they are told in
  const short = (value) => Number(value.toPrecision(3)).toLocaleString("en");
  const x = { ...axis, grid: { display: false }, ticks: { ...axis.ticks } };
  if (isHistogram) x.ticks.callback = (place) => short(told.edges[place]);
  options.scales = { x, y: { ...axis, beginAtZero: true, ticks: { ...axis.ticks, callback: (share) => `${Number((100 * share).toPrecision(3))} %` } } };
  options.plugins.tooltip = { callbacks: { label: (item) => `${item.dataset.label}: ${percent(item.parsed.y)}` } };
  return new Chart(canvas, { type: "bar", data: { labels: told.labels, datasets: told.weeks.length ? [before, weeks, now] : [before, now] }, options });
}

// Draws a line where another version went live.
const promotions = {
  id: "promotions",
  afterDatasetsDraw(chart, _, { changes, ink }) {
    const { ctx, chartArea: area, scales } = chart;
    ctx.save();
    Object.assign(ctx, { strokeStyle: ink, fillStyle: ink, font: "11px system-ui, sans-serif" });
    ctx.setLineDash([4, 4]);
    for (const change of changes) {
      const x = scales.x.getPixelForValue(change.x);
      if (x < area.left || x > area.right) continue;
      ctx.beginPath();
      ctx.moveTo(x, area.top);
      ctx.lineTo(x, area.bottom);
      ctx.stroke();
      const right = x + 30 > area.right;
      ctx.textAlign = right ? "right" : "left";
      ctx.fillText(`v${change.version}`, right ? x - 4 : x + 4, area.top + 10);
    }
    ctx.restore();
  },
};

// Points come as [window, x, value, low, high]; what all charts share comes once.
function courseOf(id) {
  const told = data(id), shared = data("shared");
  const points = (list) => list.map(([place, x, y, low, high]) => ({ x, y, low, high, title: shared.windows[place][0], version: shared.windows[place][1] }));
  return { metric: told.metric, realised: points(told.realised), estimated: points(told.estimated), changes: shared.changes };
}

// The same as a table, made when somebody opens it.
function numbers(details) {
  const told = courseOf(details.dataset.numbers), table = document.createElement("table");
  const row = (cells, kind = "td") => {
    const line = document.createElement("tr");
    cells.forEach((text) => { const cell = document.createElement(kind); cell.textContent = text; line.append(cell); });
    table.append(line);
  };
  row(["Window", "How", told.metric, "Interval", "Version"], "th");
  for (const [how, points] of [["came true", told.realised], ["estimated", told.estimated]])
    points.forEach((point) => row([point.title, how, point.y.toFixed(4), `${point.low.toFixed(4)} – ${point.high.toFixed(4)}`, point.version]));
  details.append(table);
}

function course(canvas) {
  const told = courseOf(canvas.dataset.from), { axis, options } = common();
  const now = colour("now"), hidden = { pointRadius: 0, borderWidth: 0, label: "" };
  const bound = (which) => told.realised.map((point) => ({ x: point.x, y: point[which] }));
  const datasets = [
    { ...hidden, data: bound("low") },
    { ...hidden, data: bound("high"), fill: "-1", backgroundColor: colour("now", 0.15) },
    { label: "came true", data: told.realised, borderColor: now, backgroundColor: now, borderWidth: 2, pointRadius: told.realised.length > 80 ? 0 : 3 },
    { label: "estimated", data: told.estimated, borderColor: colour("learned"), backgroundColor: colour("learned"), borderDash: [5, 4], borderWidth: 2, pointRadius: told.estimated.length > 80 ? 0 : 2 },
  ];
  const all = [...told.realised, ...told.estimated].map((point) => point.x);
  const padding = Math.max((Math.max(...all) - Math.min(...all)) * 0.04, 43200000);
  options.interaction = { mode: "nearest", intersect: false };
  options.scales = {
    x: { ...axis, type: "linear", min: Math.min(...all) - padding, max: Math.max(...all) + padding, grid: { display: false }, ticks: { ...axis.ticks, maxTicksLimit: 6, callback: day } },
    y: { ...axis, grace: "8%", ticks: { ...axis.ticks, maxTicksLimit: 6 } },
  };
  options.plugins.promotions = { changes: told.changes, ink: colour("soft") };
  options.plugins.tooltip = {
    filter: (item) => item.dataset.label,
    callbacks: {
      title: (items) => (items.length ? items[0].raw.title : ""),
      label: ({ dataset, raw }) => `${dataset.label}: ${raw.y.toFixed(4)} (${raw.low.toFixed(4)} – ${raw.high.toFixed(4)}), version ${raw.version}`,
    },
  };
  return new Chart(canvas, { type: "line", data: { datasets }, options, plugins: [promotions] });
}

const kinds = { overlay, course };
let drawn = [];
function draw() {
  drawn.forEach((chart) => chart.destroy());
  drawn = [...document.querySelectorAll("canvas[data-chart]")].map((canvas) => kinds[canvas.dataset.chart](canvas));
}

// One stop for the tab key, arrows inside: a year of nights is not a year of tabs.
function walkable(table) {
  const rows = [...table.rows].map((row) => [...row.cells].map((cell) => cell.querySelector("a")));
  const links = rows.flat().filter(Boolean);
  links.forEach((link) => { link.tabIndex = -1; });
  const start = table.querySelector("a.here") || links.at(-1);
  if (!start) return;
  start.tabIndex = 0;
  const steps = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
  table.addEventListener("keydown", (event) => {
    const step = steps[event.key], from = event.target.closest("a");
    if (!step || !from || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    let row = from.closest("tr").rowIndex, column = from.closest("td, th").cellIndex, next = null;
    do {
      row += step[0];
      column += step[1];
      if (!rows[row] || column < 0 || column >= rows[row].length) return;
      next = rows[row][column];
    } while (!next);
    from.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  });
}

// A cell's name is told when somebody comes to it: column, window, how far it moved, and the word for it.
function nameCell({ target }) {
  const link = target.closest?.("td > a[data-p]");
  if (!link || link.title) return;
  const cell = link.parentElement, table = cell.closest("table");
  const column = cell.parentElement.cells[0].textContent.trim(), night = table.rows[0].cells[cell.cellIndex].querySelector("a");
  const word = ["DRIFTED", "DEGRADED", "BROKEN", "UNKNOWN"].find((one) => link.classList.contains(one)) || "HEALTHY";
  link.title = `${column}, ${night.title.split(":")[0]}: PSI ${link.dataset.p}, ${word.toLowerCase()}`;
  link.setAttribute("aria-label", link.title);
}

// Airflow shows plugins in a frame that may not move the window around it; a link of that window's own may.
function leaveFrame(event) {
  const link = event.target.closest("a[data-airflow]");
  if (!link || window.parent === window || event.ctrlKey || event.metaKey || event.button !== 0) return;
  try {
    const outside = window.parent.document.createElement("a");
    outside.href = link.href;
    window.parent.document.body.append(outside);
    event.preventDefault();
    outside.click();
    outside.remove();
  } catch { /* framed by another site's page: the browser decides */ }
}

document.addEventListener("click", leaveFrame);
document.addEventListener("mouseover", nameCell);
document.addEventListener("focusin", nameCell);
document.querySelectorAll("details[data-numbers]").forEach((details) =>
  details.addEventListener("toggle", () => numbers(details), { once: true }));
document.querySelectorAll("table[data-grid]").forEach(walkable);
document.querySelectorAll(".heat").forEach((box) => {
  const here = box.querySelector("a.here");
  const place = here ? here.getBoundingClientRect().left - box.getBoundingClientRect().left : box.scrollWidth;
  if (place > box.clientWidth * 0.8) box.scrollLeft = place - box.clientWidth / 2; // the newest windows are at the end
});
if (location.hash) document.getElementById(location.hash.slice(1))?.scrollIntoView();
if (window.Chart) {
  draw();
  const again = () => { followTheme(); draw(); };
  window.addEventListener("storage", (event) => { if (event.key === "theme") again(); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
}
