// What is shown of a model in detail: curves, calibration, weights, actions and metrics.

import { bars, calibration, curves, number, percent, table } from "./charts.js";

const LEAST_COSTS = 10; // known costs of an action that is compared with others
const ROWS = 20; // of tables that stand for curves

const LOSS = {
  bandit: "Estimated cost of a decision: each known cost counts 1 / probability of its action.",
  regression: "Of predictions made before their labels were learned.",
};

export const byId = (id) => document.getElementById(id);
const part = (section, what) => byId(section).querySelector(what);

// Sets a text, if it is another one: what has not changed is not read out again.
export function text(found, content) {
  if (found.textContent !== content) found.textContent = content;
}

// Shows metrics, as /v1/models/NAME/metrics has them, of a model of this kind.
export function showMetrics(metrics, kind) {
  text(part("loss", ".about"), LOSS[kind] ?? LOSS.regression);
  showLoss(metrics.curve.map((point) => [point.weight, point.loss]));
  showMetric(metrics.metric_curve);
  showCalibration(metrics.calibration ?? []);
  showActions(metrics.actions ?? []);
  const rows = Object.entries(metrics.metrics).map(([name, value]) => [name, number(value)]);
  byId("metrics").hidden = !rows.length || !metrics.curve.length;
  table(part("metrics", "table"), "Metrics", ["metric", "value"], rows);
}

// Curves

// Of points that are means over the examples since the one before: the mean of the last ones, and that of all so far.
function smoothed(points, logX) {
  const count = Math.max(1, Math.round(points.length / 30));
  const widths = points.map(([x], i) => x - (i ? points[i - 1][0] : 0));
  const sums = [[0, 0]];
  points.forEach(([, y], i) => sums.push([sums[i][0] + widths[i], sums[i][1] + widths[i] * y]));
  const mean = (from, to) => (sums[to][1] - sums[from][1]) / (sums[to][0] - sums[from][0]);
  const first = logX ? 0 : count - 1; // the first means are of few examples
  const late = points.map(([x], i) => [x, mean(Math.max(0, i + 1 - count), i + 1)]).slice(first);
  const all = points.map(([x], i) => [x, mean(0, i + 1)]).slice(first);
  return { late, all, examples: Math.round((count * points.at(-1)[0]) / points.length) };
}

function showCurve(section, name, points, { logX = false, logY = false }) {
  byId(section).hidden = !points.length;
  if (!points.length) return;
  const { late, all, examples } = smoothed(points, logX);
  const of = `of the last ${number(examples)}`;
  const end = number(points.at(-1)[0]);
  const words =
    `After ${end} examples the mean ${of} is ${number(late.at(-1)[1])}, ` +
    `that of all is ${number(all.at(-1)[1])}; the mean ${of} began at ${number(late[0][1])} ` +
    `and was ${number(Math.min(...late.map((point) => point[1])))} at its least.`;
  curves(part(section, ".chart"), {
    name: `${name} over ${end} examples`,
    words,
    series: [
      { name: "mean of all examples so far", points: all },
      { name: `mean ${of}`, points: late },
    ],
    logX,
    logY: logY && Math.min(...late.map((point) => point[1]), ...all.map((point) => point[1])) > 0,
    xName: "examples",
  });
  const every = Math.ceil(late.length / ROWS);
  const rows = late
    .map(([x, y], i) => [number(x), number(y), number(all[i][1])])
    .filter((_, i) => (late.length - 1 - i) % every === 0);
  table(part(section, "table"), name, ["examples", `mean ${of}`, "mean of all"], rows);
}

function showLoss(points) {
  byId("log-loss").disabled = points.some((point) => point[1] <= 0);
  const logY = byId("log-loss").checked && !byId("log-loss").disabled;
  showCurve("loss", "Loss", points, { logX: byId("log-examples").checked, logY });
}

function showMetric(curve) {
  text(byId("metric-heading"), curve?.metric ?? "");
  const points = curve?.points.map((point) => [point.examples, point.value]) ?? [];
  showCurve("metric", curve?.metric, points, { logX: byId("log-examples").checked });
}

// Calibration, weights, actions

function showCalibration(bins) {
  byId("calibration").hidden = !bins.length;
  if (!bins.length) return;
  const examples = bins.reduce((sum, bin) => sum + bin.examples, 0);
  const error = bins.reduce((sum, bin) => sum + bin.examples * Math.abs(bin.predicted - bin.observed), 0) / examples;
  const gap = `On average, predicted probabilities and observed shares differ by ${number(error)}.`;
  text(part("calibration", ".about"), `${gap} Larger circles are of more examples; lines are ±2 standard errors.`);
  const farthest = bins.reduce((one, two) =>
    Math.abs(one.predicted - one.observed) > Math.abs(two.predicted - two.observed) ? one : two,
  );
  calibration(part("calibration", ".chart"), {
    name: "Calibration: observed shares by predicted probability",
    words:
      `${gap} They differ most where ${number(farthest.predicted)} was predicted and ${number(farthest.observed)} ` +
      `observed, of ${number(farthest.examples)} examples.`,
    bins,
  });
  table(
    part("calibration", "table"),
    "Calibration",
    ["predicted", "observed", "examples"],
    bins.map((bin) => [number(bin.predicted), number(bin.observed), number(bin.examples)]),
  );
}

// The name of a weight: its feature, or the number of one whose name is not known; with its entity, or class.
function label(row) {
  const feature = /^\d+$/.test(row.feature) ? `#${row.feature}` : row.feature;
  const before = row.entity !== undefined ? `${row.effect ?? ""} ${row.entity}: `.trimStart() : "";
  return `${before}${feature}${row.class !== undefined ? ` (class ${row.class})` : ""}`;
}

// Shows the weights that are furthest from zero, as /v1/models/NAME/weights has them.
export function showWeights(weights) {
  byId("weights").hidden = !weights.length;
  if (!weights.length) return;
  const uncertain = weights.some((row) => row.sd !== undefined);
  const what = uncertain ? "Lines are ±2 standard deviations of the posterior." : "This model has no posterior.";
  text(part("weights", ".about"), `Those furthest from zero. ${what}`);
  const first = weights[0];
  const sd = first.sd !== undefined ? `, with a standard deviation of ${number(first.sd)}` : "";
  bars(part("weights", ".chart"), {
    name: `The ${weights.length} weights that are furthest from zero`,
    words: `The first is that of ${label(first)}, ${number(first.mean)}${sd}. The table has all of them.`,
    rows: weights.map((row) => ({
      label: label(row),
      value: row.mean,
      sd: row.sd,
      text: number(row.mean),
      words: row.sd === undefined ? undefined : `${number(row.mean)} ± ${number(2 * row.sd)}`,
    })),
  });
  table(
    part("weights", "table"),
    "Top weights",
    ["feature", "mean", ...(uncertain ? ["standard deviation"] : [])],
    weights.map((row) => [label(row), number(row.mean), ...(uncertain ? [number(row.sd)] : [])]),
  );
}

function showActions(actions) {
  byId("actions").hidden = !actions.length;
  if (!actions.length) return;
  const all = actions.reduce((sum, each) => sum + each.decisions, 0);
  const found = actions
    .map((each) => ({ ...each, share: all ? each.decisions / all : 0 }))
    .sort((one, two) => two.decisions - one.decisions);
  bars(part("actions", ".chart"), {
    name: `Shares of ${found.length} actions in ${number(all)} decisions`,
    words: `The most frequent one is ${found[0].action}, ${percent(found[0].share)}. The table has all of them.`,
    rows: found.map((each) => ({ label: each.action, value: each.share, text: percent(each.share) })),
  });
  table(
    part("actions", "table"),
    "Actions",
    ["action", "decisions", "known costs", "mean cost"],
    found.map((each) => [each.action, number(each.decisions), number(each.costs), number(each.mean_cost)]),
  );
  const { headline, words } = regret(found);
  text(byId("regret"), headline);
  text(byId("regret-words"), words);
}

// The estimated regret of a decision, and what it is, in words.
function regret(actions) {
  const known = actions.filter((each) => each.costs > 0);
  const compared = known.filter((each) => each.costs >= LEAST_COSTS);
  if (compared.length < 2) {
    return { headline: "", words: `The regret is estimated once two actions have ${LEAST_COSTS} known costs each.` };
  }
  const count = known.reduce((sum, each) => sum + each.costs, 0);
  const mean = known.reduce((sum, each) => sum + each.costs * each.mean_cost, 0) / count;
  const best = compared.reduce((one, two) => (two.mean_cost < one.mean_cost ? two : one));
  return {
    headline: `Estimated regret: ${number(mean - best.mean_cost)} per decision`,
    words:
      `This is the mean cost, ${number(mean)}, less the least mean cost of an action, ${number(best.mean_cost)} of ` +
      `${best.action}. It is an estimate from logged costs: decisions whose cost is not known are left out, and so ` +
      `are actions with fewer than ${LEAST_COSTS} known costs in the search for the best one. A policy that makes ` +
      "good use of the context can get below zero.",
  };
}
