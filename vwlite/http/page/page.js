// The page of the service: its models, and one of them in detail, as they learn.
//
// The stream of events says that something has happened; what is shown is then fetched, a few times a second at most.
// A hidden tab listens to nothing and fetches nothing.

import { make, number } from "./charts.js";
import { byId, showMetrics, showWeights, text } from "./details.js";

const root = new URL("../", import.meta.url); // of all paths, as the browser sees them
const DATE = new Intl.DateTimeFormat("en-GB", { dateStyle: "long", timeStyle: "short", timeZone: "UTC" });
const RATE_TIME = 10; // seconds over which examples are counted for the rate

let cards = []; // of all models, in short
let chosen = ""; // the name of the shown model
let metrics = null; // of that
let weights = null;
const items = new Map(); // by name: the parts of the list that change
const samples = new Map(); // by name: [{time, examples, identity}], for the rates
const rates = new Map(); // by name: examples a second

// Requests

// What the server refuses; without a message the connection is lost, which the state says. Other errors are mistakes
// in this page.
class Trouble extends Error {}

// Fetches an answer in JSON. Someone who is not signed in any more gets the page to sign in.
async function get(path) {
  const answer = await fetch(new URL(path, root)).catch(() => {
    throw new Trouble();
  });
  if (answer.status === 401) {
    location.assign(root);
    await new Promise(() => {}); // the page is about to go
  }
  const found = await answer.json().catch(() => ({ detail: "" }));
  if (!answer.ok) throw new Trouble(found.detail || `The server answers with the status ${answer.status}.`);
  return found;
}

// A function that asks for a job to be done soon: not more often than each `least` milliseconds, never twice at a time,
// and less often if the server takes long.
function throttled(job, least) {
  let timer = 0;
  let running = false;
  let due = false;
  let last = -Infinity;
  let took = 0;
  async function run() {
    timer = 0;
    if (document.hidden) return; // all is asked for anew when the tab is shown again
    [running, due] = [true, false];
    const began = performance.now();
    try {
      await job();
    } catch (error) {
      if (!(error instanceof Trouble)) console.error(error);
      else if (error.message) problem(error.message);
    }
    last = performance.now();
    took = last - began;
    running = false;
    if (due) ask();
  }
  function ask() {
    due = true;
    if (!running && !timer) {
      timer = setTimeout(run, Math.max(0, last + Math.max(least, 5 * took) - performance.now()));
    }
  }
  return ask;
}

// Fetches something of the shown model; null if there is none, or another one is shown meanwhile.
async function about(what) {
  const name = chosen;
  if (!cards.some((card) => card.name === name)) return null;
  const found = await get(`v1/models/${encodeURIComponent(name)}/${what}`);
  return name === chosen ? found : null;
}

const refreshList = throttled(async () => {
  cards = (await get("v1/models")).models;
  const now = performance.now() / 1000;
  for (const card of cards) sample(card, now);
  choose();
  showList();
  showModel();
}, 1000);

const refreshMetrics = throttled(async () => {
  const found = await about("metrics");
  if (found) {
    metrics = found;
    showDetails();
  }
}, 500);

const refreshWeights = throttled(async () => {
  const found = await about("weights?top=20");
  if (found) {
    weights = found.weights;
    showDetails();
  }
}, 2000);

function refresh() {
  refreshList();
  if (!chosen) return; // the list comes first
  refreshMetrics();
  refreshWeights();
}

// Rates

const identity = (card) => card.id.slice(0, card.id.lastIndexOf("-")); // the rest is its state

function sample(card, now) {
  const found = samples.get(card.name);
  const one = { time: now, examples: card.examples, identity: identity(card) };
  if (found?.at(-1).identity === one.identity) found.push(one);
  else samples.set(card.name, [one]);
}

// Examples a second, of late; what was true at the last sample before has been true until the next one.
function rate(name, now) {
  const found = samples.get(name) ?? [];
  while (found.length > 1 && found[1].time < now - RATE_TIME) found.shift();
  if (found.length < 2) return 0;
  const seconds = Math.max(1, Math.min(RATE_TIME, now - found[0].time));
  return (found.at(-1).examples - found[0].examples) / seconds;
}

// The list of models

// Chooses the model of the address, or the first one.
function choose() {
  if (location.hash && !location.hash.startsWith("#model=") && chosen) return; // the link to the model
  const name = new URLSearchParams(location.hash.slice(1)).get("model") ?? cards[0]?.name ?? "";
  if (name === chosen) return;
  chosen = name;
  [metrics, weights] = [null, null];
  for (const section of document.querySelectorAll("section")) section.hidden = true;
  refreshMetrics();
  refreshWeights();
}

function newItem(name) {
  const kind = make("span", { className: "kind" });
  const numbers = make("span", { className: "numbers" });
  const link = make("a", { href: `#model=${encodeURIComponent(name)}` });
  link.append(make("span", { className: "name", textContent: name }), " ", kind, " ", numbers);
  return { item: make("li", {}, link), link, kind, numbers };
}

function showList() {
  const now = performance.now() / 1000;
  const names = new Set(cards.map((card) => card.name));
  for (const [name, found] of items) {
    if (names.has(name)) continue;
    found.item.remove();
    items.delete(name);
    samples.delete(name);
    rates.delete(name);
  }
  cards.forEach((card, i) => {
    if (!items.has(card.name)) items.set(card.name, newItem(card.name));
    const { item, link, kind, numbers } = items.get(card.name);
    const list = byId("models");
    if (list.children[i] !== item) list.insertBefore(item, list.children[i] ?? null);
    kind.textContent = card.kind;
    rates.set(card.name, rateText(rate(card.name, now)));
    const parts = [`${number(card.examples)} examples`, `loss ${number(card.loss, 3)}`, `${rates.get(card.name)}/s`];
    if (numbers.textContent !== parts.join(" ")) {
      numbers.replaceChildren(...parts.flatMap((each) => [make("span", { textContent: each }), " "]).slice(0, -1));
    }
    if (card.name === chosen) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  });
  byId("no-models").hidden = cards.length > 0;
}

const rateText = (value) => number(value < 10 ? Number(value.toFixed(1)) : Math.round(value));

// The shown model

function problem(text) {
  byId("problem").textContent = text;
  byId("problem").hidden = !text;
}

function showModel() {
  const name = chosen;
  const card = cards.find((each) => each.name === name);
  byId("model").hidden = !card;
  problem(card || !name || !cards.length ? "" : `There is no model named ${name}.`);
  document.title = card ? `${name} – vwlite` : "vwlite";
  if (!card) return;
  text(byId("name"), name);
  text(byId("facts"), `${card.kind}, made ${DATE.format(new Date(card.made))} UTC`);
  text(byId("options"), card.options ?? "");
  byId("notes").replaceChildren(...(card.notes ?? []).map((note) => make("li", { textContent: note })));
  showFigures(card);
}

// Shows what has been fetched of the shown model.
function showDetails() {
  const card = cards.find((each) => each.name === chosen);
  if (!card) return;
  showFigures(card);
  if (metrics) showMetrics(metrics, card.kind);
  if (weights) showWeights(weights);
}

function showFigures(card) {
  const figures = [
    ["examples", number(card.examples)],
    ["examples/s", rates.get(card.name) ?? "–"],
    ["loss", number(card.loss)],
  ];
  if (metrics?.recent_loss !== undefined) figures.push(["loss of the last 1,000", number(metrics.recent_loss)]);
  if (card.entities !== undefined) figures.push(["entities", number(card.entities)]);
  const found = byId("figures");
  if (found.children.length !== figures.length) {
    found.replaceChildren(...figures.map(() => make("div", {}, make("dt"), make("dd"))));
  }
  figures.forEach(([name, value], i) => {
    text(found.children[i].firstChild, name);
    text(found.children[i].lastChild, value);
  });
}

// Events

let source = null;
let again = 0; // the timer of the next attempt

function state(text, isLive) {
  byId("state").textContent = text;
  byId("state").classList.toggle("live", isLive);
}

function connect() {
  disconnect();
  source = new EventSource(new URL("v1/events", root));
  source.onopen = () => {
    state("live", true);
    refresh(); // of events that were missed, nothing else is known
  };
  source.onerror = () => {
    state("connection lost, trying again", false);
    if (source.readyState === EventSource.CLOSED) {
      refreshList(); // which leads to the page to sign in, if that is the reason
      again = setTimeout(connect, 2000);
    }
  };
  for (const what of ["learn", "label", "predict", "created", "replaced", "deleted", "lost"]) {
    source.addEventListener(what, (event) => hear(what, JSON.parse(event.data).model));
  }
}

function disconnect() {
  clearTimeout(again);
  source?.close();
  source = null;
}

function hear(what, model) {
  if (what !== "predict") refreshList();
  if (model !== undefined && model !== chosen) return;
  refreshMetrics();
  if (what !== "predict") refreshWeights();
}

// What the user does

addEventListener("hashchange", () => {
  const before = chosen;
  choose();
  showList();
  showModel();
  if (chosen !== before && matchMedia("(max-width: 50rem)").matches) byId("shown").scrollIntoView();
});

for (const id of ["log-examples", "log-loss"]) {
  byId(id).addEventListener("change", showDetails);
}

document.addEventListener("visibilitychange", () => {
  if (!document.hidden) connect();
  else {
    disconnect();
    state("paused", false);
  }
});

new ResizeObserver(showDetails).observe(byId("shown"));

setInterval(() => {
  if (!document.hidden && cards.length) {
    showList(); // rates fall while nothing is learned
    showModel();
  }
}, 2000);

for (const section of document.querySelectorAll("section")) section.hidden = true;
if (!document.hidden) connect();
