// Charts over time. Colours are tokens, so that a change of theme redraws; times are UTC, like everywhere else.
import uPlot from "uplot";

const HEIGHT = 210;
const WHOLE = [1, 2, 5].flatMap((step) => Array.from({ length: 13 }, (_, power) => step * 10 ** power)).sort((a, b) => a - b);
const token = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

export function compact(number) {
  if (number < 1000) return String(number);
  const unit = number < 1e6 ? "k" : number < 1e9 ? "M" : "G";
  return `${Number((number / { k: 1e3, M: 1e6, G: 1e9 }[unit]).toPrecision(3))}${unit}`;
}

export function duration(milliseconds) {
  return milliseconds < 1000 ? `${Math.round(milliseconds)} ms` : `${Number((milliseconds / 1000).toPrecision(3))} s`;
}

const time = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", timeZone: "UTC" });
const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", timeZone: "UTC" });
const moment = new Intl.DateTimeFormat("en-GB", {
  day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", timeZone: "UTC",
});

const alone = (column) =>
  column.flatMap((value, row) => (value != null && column[row - 1] == null && column[row + 1] == null ? [row] : []));

// The day at midnight, otherwise the time.
function tickLabel(seconds) {
  const at = new Date(seconds * 1000);
  return seconds % 86_400 === 0 ? day.format(at) : time.format(at);
}

// Bars lie on each other: each series is drawn as the sum of itself and those after it, the largest first.
function stacked(columns) {
  const sums = columns.map((column) => [...column]);
  for (let row = sums.length - 2; row >= 0; row -= 1) {
    sums[row] = sums[row].map((value, position) => value + sums[row + 1][position]);
  }
  return sums;
}

// `chart`: {bars, format, series: [{label, color}]}; `read(data)` gives the columns in the order of the series.
export function drawChart(element, chart, data) {
  let columns = chart.read(data);
  let at = data.at;
  let plot;

  const values = () => [at, ...(chart.bars ? stacked(columns) : columns)];
  const axis = {
    stroke: () => token("--aw-ink-2"),
    grid: { stroke: () => token("--aw-line"), width: 1 },
    ticks: { show: false },
    font: `12px ${getComputedStyle(document.body).fontFamily}`,
  };
  const format = (value) => (value == null ? "–" : chart.format(value));

  function options() {
    return {
      width: Math.max(200, element.clientWidth),
      height: HEIGHT,
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
      cursor: { drag: { x: false, y: false }, sync: { key: "usage" }, points: { show: !chart.bars } },
      legend: { markers: { width: 0, fill: (u, number) => token(chart.series[number - 1].color) } },
      scales: {
        x: { range: (u, from, to) => [from, to + data.step] },
        y: { range: (u, from, to) => [0, to > 0 ? to * 1.08 : 1] },
      },
      axes: [
        { ...axis, size: 30, grid: { show: false }, space: 64, values: (u, ticks) => ticks.map(tickLabel) },
        { ...axis, size: 58, incrs: WHOLE, values: (u, ticks) => ticks.map((tick) => (chart.tick || chart.format)(tick)) },
      ],
      series: [
        { value: (u, seconds) => (seconds == null ? "" : moment.format(new Date(seconds * 1000))), label: "From" },
        ...chart.series.map(({ label, color }, number) => ({
          label,
          stroke: () => token(color),
          fill: chart.bars ? () => token(color) : undefined,
          width: chart.bars ? 0 : 2,
          paths: chart.bars ? uPlot.paths.bars({ size: [0.72, 28], align: 1 }) : undefined,
          // A point between two times without answers has no line: it is seen as a dot.
          points: { show: !chart.bars, filter: (u, series) => alone(columns[series - 1]), size: 5, fill: () => token(color) },
          value: (u, value, series, position) => (position == null ? "" : format(columns[number][position])),
        })),
      ],
    };
  }

  function draw() {
    plot?.destroy();
    plot = new uPlot(options(), values(), element);
  }

  draw();
  new ResizeObserver(() => {
    if (element.clientWidth && element.clientWidth !== plot.width) plot.setSize({ width: element.clientWidth, height: HEIGHT });
  }).observe(element);
  new MutationObserver(draw).observe(document.documentElement, { attributeFilter: ["data-bs-theme"] });

  return (fresh) => {
    columns = chart.read(fresh);
    at = fresh.at;
    plot.setData(values());
  };
}
