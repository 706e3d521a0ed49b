// The quotas page: what is measured now, and the charts of what was, kept up to date while somebody looks.
import { drawChart } from "./charts.js";

const EVERY_MS = 5000;
const UNITS = ["bytes/s", "kB/s", "MB/s", "GB/s"];

function rate(value) {
  const power = value < 1000 ? 0 : Math.min(3, Math.floor(Math.log10(value) / 3));
  return `${Number((value / 1000 ** power).toPrecision(3))} ${UNITS[power]}`;
}

const chartOf = (side) => ({
  bars: false,
  format: rate,
  series: [
    { label: "Highest", color: "--aw-copper" },
    { label: "Average", color: "--aw-accent" },
  ],
  read: (data) => [data[`${side}_max`], data[side]],
});

const dataOf = (page) => JSON.parse(page.querySelector("#throughput").textContent);
const hasTraffic = (data) => [...data.produce_max, ...data.consume_max].some((value) => value > 0);

export function startQuotas() {
  const box = document.querySelector("[data-live-url]");
  if (!box) return;
  const charts = document.querySelector("[data-throughput]");
  let updates = [];

  function show(data) {
    if (!hasTraffic(data)) return;
    if (charts.hidden) location.reload(); // The first traffic since the page was opened: it gets its charts and table.
    updates.forEach((update) => update(data));
  }

  async function refresh() {
    let response;
    try {
      response = await fetch(box.dataset.liveUrl, { credentials: "same-origin", cache: "no-store" });
    } catch {
      return; // Offline for a moment: the time that is shown says how old the numbers are.
    }
    if ([401, 404, 410].includes(response.status)) location.reload();
    if (!response.ok) return;
    const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
    const part = fresh.querySelector("[data-live]");
    if (!part) return;
    box.querySelector("[data-live]").replaceWith(document.importNode(part, true));
    show(dataOf(fresh));
  }

  if (!charts.hidden) {
    const data = dataOf(document);
    updates = [...charts.querySelectorAll("[data-chart]")].map((element) =>
      drawChart(element, chartOf(element.dataset.chart), data),
    );
  }
  setInterval(() => document.visibilityState === "visible" && refresh(), EVERY_MS);
}
