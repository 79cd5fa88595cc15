"use strict";

// Tables: a button in each heading sorts by its column; numbers largest first, texts from A.
// What has no value stays at the end.
for (const table of document.querySelectorAll("table.sortable")) {
  const status = document.getElementById("status");
  const heads = [...table.querySelectorAll("th[data-column]")];
  for (const head of heads) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const numeric = head.classList.contains("num");
      const before = head.getAttribute("aria-sort");
      const rising = before ? before === "descending" : !numeric;
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", rising ? "ascending" : "descending");
      sort(table.tBodies[0], Number(head.dataset.column), numeric, rising);
      const name = head.dataset.name || button.textContent.trim();
      status.textContent = `Sorted by ${name}, ${rising ? "rising" : "falling"}`;
    });
  }
}

function sort(body, column, numeric, rising) {
  const value = (row) => {
    const cell = row.cells[column];
    const text = cell.dataset.value ?? cell.textContent.trim();
    return numeric ? (text === "" ? NaN : Number(text)) : text;
  };
  const keyed = [...body.rows].map((row) => [value(row), row]);
  const sign = rising ? 1 : -1;
  keyed.sort(([a], [b]) => {
    if (!numeric) return sign * a.localeCompare(b, "en", { numeric: true });
    if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) - Number.isNaN(b);
    return sign * (a - b);
  });
  body.append(...keyed.map(([, row]) => row));
}

// Pages: the one that the address names is shown. Without this script all are, one below another.
const pages = [...document.querySelectorAll(".page")];

function open() {
  let target = null;
  try {
    target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  } catch {
    // An address that is no address leads to the overview.
  }
  const page = target?.closest(".page") ?? pages[0];
  for (const other of pages) other.hidden = other !== page;
  if (target === page && page !== pages[0]) {
    window.scrollTo(0, 0);
    page.querySelector("h2").focus({ preventScroll: true });
  } else target?.scrollIntoView();
  document.title = page.dataset.title;
}
window.addEventListener("hashchange", open);
open();

// Figures: drawn when they come near the screen, again when the colour scheme changes.
const dark = window.matchMedia("(prefers-color-scheme: dark)");
const drawn = new Set();

function tone(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function coloured(part) {
  if (typeof part === "string") return part.startsWith("var(--") ? tone(part.slice(4, -1)) : part;
  if (Array.isArray(part)) return part.map(coloured);
  if (part === null || typeof part !== "object") return part;
  return Object.fromEntries(Object.entries(part).map(([name, inner]) => [name, coloured(inner)]));
}

function records(columns) {
  const names = Object.keys(columns);
  return columns[names[0]].map((_, at) =>
    Object.fromEntries(names.map((name) => [name, columns[name][at]])),
  );
}

// Of every figure; less wide where the screen is narrow.
function config() {
  const found = coloured(JSON.parse(document.querySelector("main").dataset.charts));
  found.font = tone("--sans").replaceAll('"', "'");
  if (window.innerWidth < 640) {
    found.axis.labelLimit = 140;
    found.axisX.tickCount = 4;
    found.legend.columns = 2;
  }
  return found;
}

async function draw(plot) {
  drawn.add(plot);
  const { data, ...spec } = JSON.parse(document.getElementById(plot.dataset.figure).textContent);
  const values = records(data.columns);
  try {
    await window.vegaEmbed(plot, { ...coloured(spec), data: { values } }, {
      mode: "vega-lite",
      renderer: "svg",
      actions: false,
      ast: true,
      config: config(),
      tooltip: { theme: "custom" },
    });
    plot.dataset.state = "drawn";
  } catch (error) {
    plot.textContent = "This figure could not be drawn; its values are in the tables.";
    console.error(error);
  }
}

const plots = [...document.querySelectorAll(".plot")];
const watch = new IntersectionObserver(
  (seen) => {
    for (const { isIntersecting, target } of seen) {
      if (isIntersecting && !drawn.has(target)) draw(target);
    }
  },
  { rootMargin: "400px" },
);
for (const plot of plots) watch.observe(plot);
dark.addEventListener("change", () => {
  for (const plot of drawn) draw(plot);
});
window.addEventListener("beforeprint", () => {
  for (const plot of plots) if (!drawn.has(plot)) draw(plot);
});
