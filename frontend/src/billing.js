// What only the billing page needs: a chart for each kind of unit.
import { compact, drawChart } from "./scripts/charts.js";

const COLORS = ["--aw-copper", "--aw-accent", "--aw-info"];
const BYTES = ["B", "kB", "MB", "GB", "TB", "PB"];

function bytes(number) {
  let size = number;
  let unit = 0;
  while (size >= 1000 && unit < BYTES.length - 1) [size, unit] = [size / 1000, unit + 1];
  return `${Number(size.toPrecision(3))} ${BYTES[unit]}`;
}

for (const element of document.querySelectorAll("[data-usage-chart]")) {
  const data = JSON.parse(document.getElementById(element.dataset.usageChart).textContent);
  const series = [...data.series].reverse();
  const isBytes = data.unit === "bytes";
  drawChart(
    element,
    {
      bars: true,
      format: isBytes ? bytes : (value) => value.toLocaleString("en"),
      tick: isBytes ? bytes : compact,
      series: series.map(({ label }, number) => ({ label, color: COLORS[(number + (series.length === 1)) % COLORS.length] })),
      read: () => series.map(({ values }) => values),
    },
    data,
  );
}
