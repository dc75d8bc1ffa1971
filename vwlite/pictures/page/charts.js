// Charts in SVG. All text is set as text, never as markup: names of features and actions come from strangers.

const SPACE = "http://www.w3.org/2000/svg";
let charts = 0; // for identifiers

// An element of HTML with its properties and children.
export function make(tag, properties = {}, ...children) {
  const found = Object.assign(document.createElement(tag), properties);
  found.append(...children);
  return found;
}

// An element of SVG with its attributes and children.
function draw(tag, attributes = {}, ...children) {
  const found = document.createElementNS(SPACE, tag);
  for (const [name, value] of Object.entries(attributes)) found.setAttribute(name, value);
  found.append(...children);
  return found;
}

// Numbers

const WHOLE = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const SHORT = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });

// A number in at most so many digits; a whole one in all of them.
export function number(value, digits = 4) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  if (Number.isInteger(value) && Math.abs(value) < 1e15) return minus(WHOLE.format(value));
  const size = Math.abs(value);
  if (size < 1e-4 || size >= 1e9) return minus(value.toExponential(2));
  return minus(value.toLocaleString("en", { maximumSignificantDigits: digits }));
}

export const percent = (share) => `${(100 * share).toFixed(1)}%`;
const minus = (text) => text.replace("-", "−");

function tick(value) {
  const size = Math.abs(value);
  return minus(size && (size < 1e-3 || size >= 1e15) ? value.toExponential(0) : SHORT.format(value));
}

// Scales

// A function from numbers between low and high to places between from and to.
function scale(low, high, from, to, log) {
  if (log) {
    const inner = scale(Math.log(low), Math.log(high), from, to, false);
    return (value) => inner(Math.log(value));
  }
  const unit = high > low ? (to - from) / (high - low) : 0;
  return (value) => from + (high > low ? value - low : 0.5) * (unit || to - from);
}

// Round numbers between low and high: about `count`.
function ticks(low, high, count, log) {
  if (log) {
    const found = [];
    const steps = Math.log10(high / low) * 3 <= count + 2 ? [1, 2, 5] : [1];
    for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++) {
      found.push(...steps.map((step) => step * 10 ** power));
    }
    const within = found.filter((value) => value >= low * 0.999 && value <= high * 1.001);
    const every = Math.ceil(within.length / count);
    const inside = within.filter((_, i) => i % every === 0);
    if (inside.length >= 2) return inside;
  }
  const least = (high - low) / count;
  if (!(least > 0)) return [low];
  const power = 10 ** Math.floor(Math.log10(least));
  const step = power * [1, 2, 5, 10].find((each) => each * power >= least * 0.999);
  const found = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) found.push(i * step + 0); // no -0
  return found;
}

// The marks around low and high.
function rounded(low, high, count) {
  const marks = ticks(low, high, count);
  const step = marks.length > 1 ? marks[1] - marks[0] : 0;
  const [first, last] = [marks[0], marks.at(-1)];
  return [first > low + step * 1e-6 ? first - step : first, last < high - step * 1e-6 ? last + step : last];
}

// Charts. Each has a name and a description in words, for those who don't see it.

const widthIn = (holder) => Math.max(240, holder.clientWidth);

// An empty chart in a holder, as wide as that.
function canvas(holder, height, name, words) {
  const width = widthIn(holder);
  const id = `chart-${++charts}`;
  const svg = draw(
    "svg",
    {
      viewBox: `0 0 ${width} ${height}`,
      width,
      height,
      role: "img",
      "aria-labelledby": `${id}-name`,
      "aria-describedby": `${id}-words`,
    },
    draw("title", { id: `${id}-name` }, name),
    draw("desc", { id: `${id}-words` }, words),
  );
  holder.replaceChildren(svg);
  return { svg, width };
}

// The axes of a chart, with lines across at the marks of the vertical one.
function axes(svg, box, x, y, about) {
  for (const value of ticks(about.low, about.high, 5, about.logY)) {
    svg.append(
      draw("line", { class: "grid", x1: box.left, x2: box.right, y1: y(value), y2: y(value) }),
      draw("text", { class: "mark", x: box.left - 6, y: y(value) + 4, "text-anchor": "end" }, tick(value)),
    );
  }
  const marks = Math.min(6, Math.floor((box.right - box.left) / 60));
  for (const value of ticks(about.first, about.last, marks, about.logX)) {
    svg.append(
      draw("line", { class: "grid", x1: x(value), x2: x(value), y1: box.bottom, y2: box.bottom + 4 }),
      draw("text", { class: "mark", x: x(value), y: box.bottom + 17, "text-anchor": "middle" }, tick(value)),
    );
  }
  svg.append(
    draw("line", { class: "axis", x1: box.left, x2: box.right, y1: box.bottom, y2: box.bottom }),
    draw("text", { class: "mark", x: box.right, y: box.bottom + 33, "text-anchor": "end" }, about.xName),
  );
}

// Curves over examples. series: [{name, points: [[x, y], ...]}], drawn in this order, the last one on top.
export function curves(holder, { name, words, series, logX, logY, xName }) {
  const height = 250;
  const { svg, width } = canvas(holder, height, name, words);
  const points = series.flatMap((each) => each.points);
  const ys = points.map((point) => point[1]);
  let low = Math.min(...ys);
  let high = Math.max(...ys);
  const margin = low === high ? (Math.abs(low) || 1) / 2 : 0; // of a level curve
  [low, high] = [low - margin, high + margin];
  if (!logY) [low, high] = rounded(low, high, 5);
  const about = { low, high, first: points[0][0], last: points.at(-1)[0], logX, logY, xName };
  const box = { left: 48, right: width - 14, top: 12 + 18 * series.length, bottom: height - 40 };
  const x = scale(about.first, about.last, box.left, box.right, logX);
  const y = scale(low, high, box.bottom, box.top, logY);
  axes(svg, box, x, y, about);
  series.forEach((each, i) => {
    const place = each.points.map((point) => `${x(point[0]).toFixed(1)},${y(point[1]).toFixed(1)}`);
    const kind = `curve-${series.length === 1 ? 1 : i}`;
    if (place.length === 1) {
      const [cx, cy] = place[0].split(",");
      svg.append(draw("circle", { class: `${kind} dot`, cx, cy, r: 3 }));
    }
    svg.append(
      draw("polyline", { class: kind, points: place.join(" ") }),
      draw("line", { class: kind, x1: box.left, x2: box.left + 22, y1: 12 + 18 * i, y2: 12 + 18 * i }),
      draw("text", { x: box.left + 30, y: 16 + 18 * i }, each.name),
    );
  });
}

// Predicted probabilities beside observed shares. bins: [{examples, predicted, observed}].
export function calibration(holder, { name, words, bins }) {
  const height = 310;
  const { svg, width } = canvas(holder, height, name, words);
  const side = Math.min(width - 62, height - 70);
  const box = { left: 48, right: 48 + side, top: 28, bottom: 28 + side };
  const x = scale(0, 1, box.left, box.right);
  const y = scale(0, 1, box.bottom, box.top);
  axes(svg, box, x, y, { low: 0, high: 1, first: 0, last: 1, xName: "predicted probability" });
  svg.append(
    draw("text", { class: "mark", x: 10, y: 13 }, "observed share"),
    draw("line", { class: "ideal", x1: x(0), y1: y(0), x2: x(1), y2: y(1) }),
  );
  const most = Math.max(...bins.map((bin) => bin.examples));
  for (const bin of bins) {
    const error = 2 * deviation(bin);
    svg.append(
      draw("line", {
        class: "interval",
        x1: x(bin.predicted),
        x2: x(bin.predicted),
        y1: y(Math.max(0, bin.observed - error)),
        y2: y(Math.min(1, bin.observed + error)),
      }),
      draw("circle", {
        class: "bin",
        cx: x(bin.predicted),
        cy: y(bin.observed),
        r: 2.5 + 5 * Math.sqrt(bin.examples / most),
      }),
    );
  }
}

// The standard deviation of an observed share, if the prediction is right.
const deviation = (bin) => Math.sqrt((bin.predicted * (1 - bin.predicted)) / bin.examples);

const pen = document.createElement("canvas").getContext("2d"); // measures texts
pen.font = "13px system-ui, sans-serif"; // as svg text in style.css
const widthOf = (text) => pen.measureText(text).width;

// A text that is no wider than this.
function shortened(text, most) {
  if (widthOf(text) <= most) return text;
  const letters = [...text];
  while (letters.length && widthOf(`${letters.join("")}…`) > most) letters.pop();
  return `${letters.join("")}…`;
}

// Bars from zero, one a row. rows: [{label, value, sd, text}]; a bar with a deviation has a line from -2 to +2 of it.
// The labels are beside the bars; if one is too long for that, all are above them.
export function bars(holder, { name, words, rows }) {
  const beside = Math.max(...rows.map((row) => widthOf(row.label))) <= 0.42 * widthIn(holder);
  const step = beside ? 24 : 40;
  const { svg, width } = canvas(holder, step * rows.length + 8, name, words);
  const labels = rows.map((row) => shortened(row.label, width));
  const left = beside ? Math.max(...labels.map(widthOf)) + 12 : 2;
  const right = width - Math.max(...rows.map((row) => widthOf(row.text))) - 12;
  const { low, high } = extent(rows);
  const x = scale(low, high, left, right);
  rows.forEach((row, i) => {
    const middle = step * (i + 1) - 8; // of the bar
    const half = beside ? 12 : 9; // of the axis here
    const place = beside ? { x: left - 8, y: middle + 4, "text-anchor": "end" } : { x: 0, y: middle - 13 };
    const from = Math.min(x(0), x(row.value));
    const group = draw("g", {}, draw("title", {}, `${row.label}: ${row.words ?? row.text}`));
    group.append(
      draw("text", place, labels[i]),
      draw("rect", {
        class: row.value < 0 ? "bar below" : "bar",
        x: from,
        y: middle - 7,
        width: Math.max(1, Math.abs(x(row.value) - x(0))),
        height: 14,
        rx: 2,
      }),
    );
    if (row.sd !== undefined) group.append(interval(row, x, low, high, middle));
    group.append(
      draw("line", { class: "axis", x1: x(0), x2: x(0), y1: middle - half, y2: middle + half }),
      draw("text", { class: "mark", x: width - 2, y: middle + 4, "text-anchor": "end" }, row.text),
    );
    svg.append(group);
  });
}

// The range of bars: lines that are far longer than all bars are cut off.
function extent(rows) {
  const values = rows.map((row) => row.value);
  const [least, most] = [Math.min(0, ...values), Math.max(0, ...values)];
  const beyond = most - least || 1;
  const ends = rows.flatMap((row) => [row.value - 2 * (row.sd ?? 0), row.value + 2 * (row.sd ?? 0)]);
  const low = Math.min(least, Math.max(least - beyond, Math.min(...ends)));
  const high = Math.max(most, Math.min(most + beyond, Math.max(...ends)));
  return { low, high: high > low ? high : low + 1 };
}

// The line of a bar from -2 to +2 standard deviations, with a stop at each end that is not cut off.
function interval({ value, sd }, x, low, high, middle) {
  const [from, to] = [value - 2 * sd, value + 2 * sd];
  let d = `M${x(Math.max(from, low))} ${middle}H${x(Math.min(to, high))}`;
  for (const end of [from, to]) if (low <= end && end <= high) d += `M${x(end)} ${middle - 4}v8`;
  return draw("path", { class: "interval", d });
}

// Estimates with intervals, one a row. rows: [{label, value, low, high, text}]; ends may be null. `at` has a line across.
export function intervals(holder, { name, words, rows, at }) {
  const step = 24;
  const { svg, width } = canvas(holder, step * rows.length + 34, name, words);
  const labels = rows.map((row) => shortened(row.label, 0.42 * width));
  const box = { left: Math.max(...labels.map(widthOf)) + 12, bottom: step * rows.length + 4, top: 0 };
  box.right = width - Math.max(...rows.map((row) => widthOf(row.text))) - 14;
  const ends = rows.flatMap((row) => [row.low ?? row.value, row.value, row.high ?? row.value]);
  if (at !== undefined) ends.push(at);
  const [low, high] = rounded(Math.min(...ends), Math.max(...ends), 5);
  const x = scale(low, high, box.left, box.right);
  for (const value of ticks(low, high, Math.min(6, Math.floor((box.right - box.left) / 60)))) {
    svg.append(
      draw("line", { class: "grid", x1: x(value), x2: x(value), y1: box.top, y2: box.bottom }),
      draw("text", { class: "mark", x: x(value), y: box.bottom + 17, "text-anchor": "middle" }, tick(value)),
    );
  }
  if (at !== undefined) svg.append(draw("line", { class: "ideal", x1: x(at), x2: x(at), y1: box.top, y2: box.bottom }));
  rows.forEach((row, i) => {
    const middle = step * i + 14;
    const group = draw("g", {}, draw("title", {}, `${row.label}: ${row.text}`));
    group.append(draw("text", { x: box.left - 8, y: middle + 4, "text-anchor": "end" }, labels[i]));
    if (row.low !== null && row.high !== null) {
      const d = `M${x(row.low)} ${middle}H${x(row.high)}M${x(row.low)} ${middle - 4}v8M${x(row.high)} ${middle - 4}v8`;
      group.append(draw("path", { class: "interval", d }));
    }
    group.append(
      draw("circle", { class: "estimate", cx: x(row.value), cy: middle, r: 4 }),
      draw("text", { class: "mark", x: width - 2, y: middle + 4, "text-anchor": "end" }, row.text),
    );
    svg.append(group);
  });
}

const filled = new WeakMap(); // what each table shows

// Fills a table: heads and rows of texts, the first cell of a row heads it. Only what has changed is made anew.
export function table(found, caption, heads, rows) {
  const content = JSON.stringify([caption, heads, rows]);
  if (filled.get(found) === content) return;
  filled.set(found, content);
  const head = make("tr", {}, ...heads.map((text) => make("th", { scope: "col", textContent: text })));
  const body = rows.map(([first, ...others]) =>
    make(
      "tr",
      {},
      make("th", { scope: "row", textContent: first }),
      ...others.map((text) => make("td", { textContent: text })),
    ),
  );
  found.replaceChildren(
    make("caption", { className: "hidden", textContent: caption }),
    make("thead", {}, head),
    make("tbody", {}, ...body),
  );
}
