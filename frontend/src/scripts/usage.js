// The usage page: its charts, and what brings them up to date while somebody looks.
import { compact, drawChart, duration } from "./charts.js";

const EVERY_MS = 15_000;
const CHARTS = {
  requests: {
    bars: true,
    format: (value) => value.toLocaleString("en"),
    tick: compact,
    series: [{ label: "Errors", color: "--aw-bad" }, { label: "Answered", color: "--aw-accent" }],
    read: (data) => [data.errors.map((errors, row) => errors - data.broken[row]), data.requests],
  },
  tokens: {
    bars: true,
    format: (value) => value.toLocaleString("en"),
    tick: compact,
    series: [{ label: "Output", color: "--aw-copper" }, { label: "Input", color: "--aw-accent" }],
    read: (data) => [data.output_tokens, data.input_tokens],
  },
  units: {
    bars: true,
    format: (value) => value.toLocaleString("en"),
    tick: compact,
    series: [{ label: "Search units", color: "--aw-accent" }],
    read: (data) => [data.search_units],
  },
  latency: {
    bars: false,
    format: duration,
    series: [
      { label: "99 %", color: "--aw-bad" },
      { label: "95 %", color: "--aw-copper" },
      { label: "Median", color: "--aw-accent" },
    ],
    read: (data) => [data.p99, data.p95, data.p50],
  },
  errors: {
    bars: true,
    format: (value) => value.toLocaleString("en"),
    tick: compact,
    series: [
      { label: "Failed", color: "--aw-bad" },
      { label: "Cut short", color: "--aw-copper" },
      { label: "Rate limited", color: "--aw-warning" },
      { label: "Refused", color: "--aw-info" },
    ],
    read: (data) => [data.failed, data.broken, data.limited, data.refused],
  },
};

const dataOf = (page) => JSON.parse(page.getElementById("usage-data").textContent);

async function fetchPage(url) {
  let response;
  try {
    response = await fetch(url, { credentials: "same-origin", cache: "no-store" });
  } catch {
    return null; // Not reachable for a moment: the next time will do.
  }
  if (response.status === 401 || response.status === 410) location.reload();
  return response.ok ? new DOMParser().parseFromString(await response.text(), "text/html") : null;
}

// Puts fresh text where it changed, and leaves alone what somebody is in.
function replaceLive(page) {
  for (const part of document.querySelectorAll("[data-live]")) {
    const fresh = page.querySelector(`[data-live="${part.dataset.live}"]`);
    if (!fresh || part.contains(document.activeElement)) continue;
    const opened = part.querySelector("details[data-keep-open]")?.open;
    if (opened) fresh.querySelector("details[data-keep-open]").open = true;
    if (fresh.innerHTML !== part.innerHTML) part.innerHTML = fresh.innerHTML;
  }
}

export function startUsage() {
  const box = document.querySelector("[data-usage]");
  if (!box) return;
  const data = dataOf(document);
  const updates = [...box.querySelectorAll("[data-chart]")].map((element) =>
    drawChart(element, CHARTS[element.dataset.chart], data),
  );
  const kinds = () => [...box.querySelectorAll("[data-chart]")].map((element) => element.dataset.chart).join();
  let busy = false;

  async function refresh() {
    if (busy || document.visibilityState !== "visible") return;
    busy = true;
    try {
      const page = await fetchPage(box.dataset.refreshUrl);
      if (!page) return;
      const fresh = page.querySelector("[data-usage]");
      const freshKinds = [...fresh.querySelectorAll("[data-chart]")].map((element) => element.dataset.chart).join();
      if (freshKinds !== kinds()) {
        location.reload(); // The first request, or the first error: the page has other parts now.
        return;
      }
      replaceLive(page);
      const values = dataOf(page);
      for (const update of updates) update(values);
    } finally {
      busy = false;
    }
  }

  setInterval(refresh, EVERY_MS);
  document.addEventListener("visibilitychange", refresh);
}
