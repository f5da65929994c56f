"use strict";
// Asks for what changed, and draws it. Text that comes from a run only ever becomes a text node.

const PAUSE = 500, PAUSE_LIST = 1000, PAUSE_HIDDEN = 5000; // milliseconds between two looks
const WIDTH = 440, HEIGHT = 232, LEFT = 50, RIGHT = 428, TOP = 14, BOTTOM = 194;
const ROWS_FIRST = 60, ROWS_AT_ONCE = 350, MOST_OVERLAID = 8, MOST_POINTS = 6000, MOST_CHARTS = 14;

const $ = (id) => document.getElementById(id);
const runs = new Map(); // id to summary
const rows = new Map(); // id to table row
const curves = new Map(); // id to points
const picked = new Set();
const view = { ids: [], sort: "changed", down: true, group: "all", find: "", boot: "", revision: 0, listed: 0 };

// --- elements -------------------------------------------------------------------------------

function make(space, tag, attributes, children) {
  const node = space ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== null && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== ""));
  return node;
}
const el = (tag, attributes = {}, ...children) => make(false, tag, attributes, children);
const draw = (tag, attributes = {}, ...children) => make(true, tag, attributes, children);

// --- numbers as a person would write them -----------------------------------------------------

const known = (value) => typeof value === "number" && Number.isFinite(value);

function number(value) {
  if (!known(value)) return "–";
  const size = Math.abs(value);
  if (Number.isInteger(value) && size >= 1000) return value.toLocaleString("en").replace("-", "−");
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) return value.toExponential(2).replace("-", "−");
  return (size < 10 ? value.toFixed(3) : value.toFixed(1)).replace("-", "−");
}
const count = (value) => (known(value) ? Math.round(value).toLocaleString("en") : "–");
const interval = (pair) => (pair ? `${number(pair[0])} to ${number(pair[1])}` : "");

function duration(seconds) {
  if (!known(seconds)) return "–";
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  for (const [big, small, size, part] of [["d", "h", 86400, 3600], ["h", "min", 3600, 60], ["min", "s", 60, 1]])
    if (whole >= size) {
      const rest = Math.floor((whole % size) / part);
      return `${Math.floor(whole / size)} ${big}${rest ? ` ${rest} ${small}` : ""}`;
    }
  return `${whole} s`;
}

function ago(moment) {
  if (!moment) return "–";
  const seconds = Math.max(0, Date.now() / 1000 - moment);
  if (seconds < 5) return "now";
  for (const [size, name] of [[86400, "d"], [3600, "h"], [60, "min"]])
    if (seconds >= size) return `${Math.floor(seconds / size)} ${name} ago`;
  return `${Math.floor(seconds)} s ago`;
}

// --- the list -------------------------------------------------------------------------------

const GROUPS = [
  ["all", "all", () => true],
  ["running", "running", (run) => run.phase === "running" || run.phase === "waiting"],
  ["good", "good enough", (run) => run.tone === "good"],
  ["ended", "ended otherwise", (run) => run.phase === "ended" && run.tone === "plain"],
  ["look", "need a look", (run) => run.tone === "warn" || run.tone === "bad"],
];
const ORDER = { going: 0, good: 1, plain: 2, warn: 3, bad: 4 };
const COLUMNS = [
  { key: "pick", label: "" },
  { key: "name", label: "run", of: (run) => run.name },
  { key: "state", label: "state and why", of: (run) => `${ORDER[run.tone]} ${run.state}` },
  { key: "value", label: "score", side: "n", of: (run) => (known(run.value) ? (run.better === "max" ? run.value : -run.value) : null) },
  { key: "reach", label: "", side: "wide" },
  { key: "step", label: "step", side: "n wide", of: (run) => run.step },
  { key: "seconds", label: "time", side: "n wide", of: (run) => run.seconds },
  { key: "changed", label: "changed", side: "n", of: (run) => run.changed },
];

function heads() {
  const cells = COLUMNS.map((column) => {
    if (!column.of) return el("th", { role: "columnheader", scope: "col", class: column.side ?? null }, el("span", { class: "hidden" }, column.key === "pick" ? "choose" : "from the baseline to now"));
    const sorted = view.sort === column.key ? (view.down ? "descending" : "ascending") : null;
    return el("th", { role: "columnheader", scope: "col", class: column.side ?? null, "aria-sort": sorted },
      el("button", { type: "button", onclick: () => sortBy(column.key) }, column.label));
  });
  $("runs").tHead.rows[0].replaceChildren(...cells);
}

function sortBy(key) {
  view.down = view.sort === key ? !view.down : key !== "name" && key !== "state";
  view.sort = key;
  heads();
  arrange();
}

function chips() {
  const all = [...runs.values()];
  $("chips").replaceChildren(...GROUPS.map(([key, label, test]) =>
    el("button", { type: "button", "aria-pressed": String(view.group === key), onclick: () => { view.group = key; chips(); arrange(); } },
      `${label} `, el("b", {}, String(all.filter(test).length)))));
}

function row(id, run) {
  const cut = run.name.lastIndexOf("/") + 1;
  const box = el("input", { type: "checkbox", "aria-label": `choose ${run.name}`, onchange: (event) => pick(id, event.target.checked) });
  box.checked = picked.has(id);
  const share = run.phase === "running" && run.last_step && known(run.step);
  return el("tr", { role: "row", "data-id": id, class: picked.has(id) ? "picked" : null },
    el("td", { role: "cell", class: "pick" }, box),
    el("th", { role: "rowheader", scope: "row", class: "run" },
      el("a", { href: `#/runs/${id}` }, el("span", {}, run.name.slice(0, cut)), run.name.slice(cut)), el("small", {}, run.task)),
    el("td", { role: "cell", class: "state" }, el("b", { class: `dot ${run.tone}` }, run.state), el("small", { title: run.reason }, run.reason)),
    el("td", { role: "cell", class: "n value" }, el("b", {}, number(run.value)), el("small", {}, run.metric), el("small", {}, interval(run.interval))),
    el("td", { role: "cell", class: "reach wide" }, reach(run) ?? ""),
    el("td", { role: "cell", class: "n wide" }, count(run.step), share ? el("small", {}, `of ${count(run.last_step)}`) : "",
      share ? el("progress", { max: run.last_step, value: Math.min(run.step, run.last_step), "aria-label": "share of the budget" }) : ""),
    el("td", { role: "cell", class: "n wide" }, duration(run.seconds)),
    el("td", { role: "cell", class: "n changed" }, ago(run.changed)));
}

function reach(run) {
  const ends = [run.baseline, run.value, run.target].filter(known);
  if (!known(run.value) || ends.length < 2) return null;
  const fraction = ends.every((end) => end >= 0 && end <= 1);
  const low = fraction ? 0 : Math.min(...ends), high = fraction ? 1 : Math.max(...ends);
  const at = (value) => 7 + (106 * (value - low)) / (high - low || 1);
  const goal = known(run.target) ? draw("path", { class: "goal", d: `M${at(run.target)} 2v12` }) : "";
  const was = known(run.baseline);
  return draw("svg", { viewBox: "0 0 120 16", "aria-hidden": "true" }, draw("path", { class: "base", d: "M7 8H113" }),
    was ? draw("path", { class: "gain", d: `M${at(run.baseline)} 8H${at(run.value)}` }) : "", goal,
    was ? draw("circle", { class: "was", cx: at(run.baseline), cy: 8, r: 3.5 }) : "",
    draw("circle", { class: "now", cx: at(run.value), cy: 8, r: 4.5 }));
}

function wanted() {
  const test = GROUPS.find(([key]) => key === view.group)[2];
  const words = view.find.toLowerCase().split(/\s+/).filter(Boolean);
  const text = (run) => `${run.name} ${run.task} ${run.state} ${run.reason} ${run.metric}`.toLowerCase();
  const found = [...runs].filter(([, run]) => test(run) && words.every((word) => text(run).includes(word)));
  const of = COLUMNS.find((column) => column.key === view.sort).of, sign = view.down ? -1 : 1;
  return found.sort(([a, left], [b, right]) => {
    const [x, y] = [of(left), of(right)];
    if (x === y) return a < b ? -1 : 1;
    if (x === null || x === undefined) return 1; // what is not known comes last, whichever way one sorts
    if (y === null || y === undefined) return -1;
    return sign * (typeof x === "string" ? x.localeCompare(y, "en", { numeric: true }) : x - y);
  }).map(([id]) => id);
}

let turn = 0;
function arrange() {
  const mine = ++turn, ids = wanted(), body = $("runs").tBodies[0], focused = document.activeElement;
  $("none").textContent = ids.length ? "" : runs.size ? "No run matches the filter." : "No runs here yet. They appear by themselves.";
  let done = 0;
  const more = () => {
    if (mine !== turn) return;
    const some = ids.slice(done, done + (done ? ROWS_AT_ONCE : ROWS_FIRST)).map((id) => rows.get(id) ?? rows.set(id, row(id, runs.get(id))).get(id));
    if (done === 0) body.replaceChildren(...some);
    else body.append(...some);
    done += some.length;
    if (focused && focused.isConnected && focused !== document.activeElement) focused.focus({ preventScroll: true });
    if (done < ids.length) setTimeout(more);
    else document.body.dataset.listed = String(ids.length);
  };
  const shown = [...body.rows].map((shownRow) => shownRow.dataset.id);
  if (shown.length !== ids.length || ids.some((id, index) => id !== shown[index] || rows.get(id) !== body.rows[index])) more();
}

function refresh(id) {
  const old = rows.get(id);
  if (!old) return;
  const fresh = row(id, runs.get(id));
  const focused = old.contains(document.activeElement) ? document.activeElement.tagName : null;
  if (old.isConnected) old.replaceWith(fresh);
  rows.set(id, fresh);
  if (focused) fresh.querySelector(focused)?.focus({ preventScroll: true });
}

function pick(id, on) {
  if (on) picked.add(id);
  else picked.delete(id);
  rows.get(id)?.classList.toggle("picked", on);
  const enough = picked.size >= 2 && picked.size <= MOST_OVERLAID;
  $("open").disabled = !(picked.size >= 1 && picked.size <= MOST_OVERLAID);
  $("paired").disabled = !enough;
  $("open").textContent = picked.size > MOST_OVERLAID ? `At most ${MOST_OVERLAID} at once` : picked.size ? `Overlay ${picked.size}` : "Overlay";
}

// --- what changed -----------------------------------------------------------------------------

async function ask(path) {
  const answer = await fetch(path, { signal: AbortSignal.timeout(20000), credentials: "same-origin" });
  if (!answer.ok) throw new Error(answer.status === 401 ? "the address with its token is needed again" : await answer.text());
  return answer.json();
}

async function look() {
  const news = await ask(`api/runs?boot=${view.boot}&after=${view.revision}`);
  view.boot = news.boot;
  view.revision = news.revision;
  if (news.all) {
    const there = new Set(news.runs.map((run) => run.id));
    for (const id of runs.keys()) if (!there.has(id)) news.gone.push(id);
  }
  for (const id of news.gone) { runs.delete(id); rows.delete(id); curves.delete(id); pick(id, false); }
  for (const { id, ...run } of news.runs) {
    runs.set(id, run);
    refresh(id);
    if (curves.has(id)) curves.get(id).old = true;
  }
  $("root").textContent = news.root + (news.whole ? "" : " (too many folders: not all were looked at)");
  if (news.runs.length || news.gone.length || news.all) { chips(); if (!$("list").hidden) arrange(); }
  return news.runs.length + news.gone.length > 0;
}

async function points(id) {
  const have = curves.get(id), [inode, offset] = have?.place ?? [0, 0];
  if (have && !have.old && runs.get(id)?.phase === "ended") return false;
  const news = await ask(`api/curve?id=${id}&inode=${inode}&offset=${offset}`);
  const fresh = !have || news.anew ? { train: null, evals: [] } : have;
  const changed = !have || news.anew || news.train.step.length > 0 || news.evals.length > 0;
  fresh.train = joined(fresh.train, news.train);
  if (news.evals.length) fresh.evals = [...fresh.evals.filter((one) => one.step < news.evals[0].step), ...news.evals];
  fresh.place = news.place;
  fresh.old = false;
  curves.set(id, fresh);
  return changed;
}

function joined(before, added) {
  if (!before || !before.step.length) return added;
  if (!added.step.length) return before;
  let keep = before.step.length;
  while (keep && before.step[keep - 1] >= added.step[0]) keep -= 1;
  const thin = keep > MOST_POINTS ? (_, index) => index > keep / 2 || index % 2 === 0 : () => true;
  return Object.fromEntries(Object.keys(before).map((key) => [key, [...before[key].slice(0, keep).filter(thin), ...added[key]]]));
}

// The list and the curves are asked for apart, so that a point need not wait for a thousand runs.
function every(pause, job) {
  let waiting = 0, busy = false;
  return async function again() {
    clearTimeout(waiting);
    if (!busy) {
      busy = true;
      await said(job);
      busy = false;
    }
    clearTimeout(waiting);
    waiting = setTimeout(again, document.hidden ? PAUSE_HIDDEN : pause());
  };
}

async function said(job) {
  try {
    if (await job() === false) return; // it asked nobody
    $("pulse").className = "on";
    $("pulse").textContent = "live";
  } catch (problem) {
    const silent = problem instanceof TypeError || problem.name === "TimeoutError";
    $("pulse").className = "off";
    $("pulse").textContent = silent ? "no answer: is `tunesmith ui` still running?" : problem.message.trim();
  }
}

const lookAgain = every(() => PAUSE_LIST, async () => {
  if (await look() && view.ids.length) detail();
});
const pointsAgain = every(() => PAUSE, async () => {
  const ids = view.ids.filter((id) => runs.has(id));
  if (!ids.length) return false;
  const grown = await Promise.all(ids.map(points));
  if (grown.some(Boolean)) detail();
  return true;
});

// --- one run, or several overlaid ---------------------------------------------------------------

const isSlice = (name) => /\[.+=.*\]$/s.test(name);
const figures = new Map(); // name of a chart to its figure

function route() {
  const match = /^#\/runs\/([0-9a-f,]+)$/.exec(location.hash);
  view.ids = match ? match[1].split(",").slice(0, MOST_OVERLAID) : [];
  $("list").hidden = view.ids.length > 0;
  $("detail").hidden = view.ids.length === 0;
  figures.clear();
  $("charts").replaceChildren();
  document.title = "tunesmith";
  if (view.ids.length) detail();
  else arrange();
  lookAgain().then(pointsAgain);
}

function detail() {
  const shown = view.ids.filter((id) => runs.has(id));
  const summaries = shown.map((id) => [id, runs.get(id)]);
  const measured = shown.map((id) => (curves.get(id)?.evals ?? []).map((one) => one.step));
  fill("told", [view.ids, summaries], () => (view.ids.length === 1 ? toldOne(shown[0]) : toldSeveral(shown)));
  fill("legend", shown, () => (shown.length > 1 ? shown.map(legend) : []));
  charts(shown);
  recipes(shown);
  fill("verdicts", [summaries, measured], () => (shown.length === 1 ? everyVerdict(shown[0]) : lastVerdicts(shown)));
}

// What has not changed stays as it is, so that nobody loses the place or the focus.
const filled = new Map();
function fill(name, source, build) {
  const key = JSON.stringify(source);
  if (filled.get(name) === key) return;
  filled.set(name, key);
  const top = $(name).querySelector(".tall")?.scrollTop ?? 0;
  $(name).replaceChildren(...build());
  const tall = $(name).querySelector(".tall");
  if (tall) tall.scrollTop = top;
}

function toldOne(id) {
  if (!id) return [el("p", { class: "note" }, "This run is not there.")];
  const run = runs.get(id);
  document.title = `${run.headline} – ${run.name}`;
  $("told").className = run.tone;
  const of = run.last_step && run.phase !== "ended" ? ` of ${count(run.last_step)}` : "";
  const facts = [`${run.state}`, known(run.step) ? `step ${count(run.step)}${of}` : "", known(run.seconds) ? duration(run.seconds) : "", `changed ${ago(run.changed)}`];
  return [
    el("p", { class: "which" }, el("b", {}, run.name), ` ${run.task}`),
    el("h1", {}, run.headline),
    el("p", { class: "more" }, run.detail),
    el("ul", { class: "facts" }, ...facts.filter(Boolean).map((fact) => el("li", {}, fact)),
      el("li", {}, el("a", { href: `report/${id}`, target: "_blank", rel: "noopener" }, "whole report"))),
  ];
}

function toldSeveral(ids) {
  document.title = `${ids.length} runs – tunesmith`;
  $("told").className = "plain";
  return [
    el("h1", {}, `${ids.length} runs overlaid`),
    el("ul", { class: "facts" },
      el("li", {}, el("a", { href: `compare?ids=${ids.join(",")}`, target: "_blank", rel: "noopener" }, "paired comparison on the same examples"), ids.length ? ` against ${runs.get(ids[0]).name}` : "")),
  ];
}

const differing = new Map(); // ids to what the recipes of these runs do differently

function recipes(ids) {
  const key = ids.length > 1 ? ids.join(",") : "";
  if (key && !differing.has(key)) {
    differing.set(key, null);
    ask(`api/recipes?ids=${key}`).then((found) => { differing.set(key, found); detail(); }, () => differing.delete(key));
  }
  const found = differing.get(key) ?? null;
  fill("recipes", [ids, found], () => (found ? difference(ids, found) : []));
}

function difference(ids, found) {
  const head = el("tr", {}, el("th", { scope: "col" }, "key"), ...ids.map((id) => el("th", { scope: "col", class: colour(id) }, el("i", { class: "swatch" }), " ", runs.get(id).name)));
  const body = found.rows.map(([key, values]) => el("tr", {}, el("th", { scope: "row" }, key), ...values.map((value) => el("td", {}, value))));
  return [el("h2", {}, "What the recipes do differently"),
    body.length ? el("div", { class: "scroll" }, el("table", {}, el("thead", {}, head), el("tbody", {}, ...body))) : "",
    el("p", { class: "note" }, found.told)].filter(Boolean);
}

const colour = (id) => `run${view.ids.indexOf(id) % MOST_OVERLAID}`;

function legend(id) {
  const others = view.ids.filter((other) => other !== id), name = runs.get(id).name;
  return el("li", { class: colour(id) }, el("i"), el("a", { href: `#/runs/${id}` }, name),
    el("button", { type: "button", "aria-label": `take ${name} away`, onclick: () => { location.hash = `#/runs/${others.join(",")}`; } }, "×"));
}

function charts(ids) {
  const chief = ids.length ? runs.get(ids[0]).metric : "";
  const measured = ids.flatMap((id) => (curves.get(id)?.evals ?? []).flatMap((one) => Object.keys(one.metrics)));
  const names = [...new Set([chief, "loss", ...measured])].filter((name) => measured.includes(name) && !isSlice(name));
  const wishes = [...names.map((name) => ["eval", name]), ["train", "loss"], ["train", "learning_rate"]];
  wishes.splice(1, 0, ...wishes.splice(names.length, 1)); // training loss stands beside the metric of the run
  let number_ = 0;
  for (const [kind, name] of wishes.slice(0, MOST_CHARTS)) {
    const series = ids.map((id) => line(id, kind, name)).filter((one) => one.line.length);
    if (!series.length) continue;
    const title = kind === "train" ? (name === "loss" ? "training loss" : "learning rate") : name === "loss" ? "evaluation loss" : name;
    chart(title, series, ids.length === 1, number_++);
  }
}

function line(id, kind, name) {
  const curve = curves.get(id), along = $("along").value, run = runs.get(id);
  const one = { id, line: [], raw: [], bands: [], told: new Map(), goal: null, kept: null, marks: [] };
  if (!curve) return one;
  if (kind === "train") {
    const columns = curve.train;
    const all = columns.step.map((_, index) => [columns[along][index], columns[name][index]]).filter(([x, y]) => known(x) && known(y));
    one.raw = name === "loss" && $("smooth").checked ? all : [];
    one.line = one.raw.length ? smoothed(all) : all;
    return one;
  }
  for (const found of curve.evals) {
    const x = found[along], y = found.metrics[name], pair = found.intervals[name];
    if (!known(x)) continue;
    one.marks.push([x, found.decision]);
    if (!known(y)) continue;
    one.line.push([x, y]);
    if (pair) one.bands.push([x, ...pair]);
    one.told.set(x, `${pair ? ` (${interval(pair)})` : ""}${found.decision ? `, ${found.decision}` : ""}`);
    if (found.step === run.kept) one.kept = [x, y];
  }
  one.goal = known(run.targets[name]) ? run.targets[name] : null;
  one.dots = true;
  return one;
}

function smoothed(pairs) {
  const reach = Math.max(1, Math.round(0.02 * pairs.length)), sums = [0];
  for (const [, y] of pairs) sums.push(sums[sums.length - 1] + y);
  return pairs.map(([x], index) => {
    const here = Math.min(reach, index, pairs.length - 1 - index);
    return [x, (sums[index + here + 1] - sums[index - here]) / (2 * here + 1)];
  });
}

// --- charts -----------------------------------------------------------------------------------

function axis(values, start, end, fromZero) {
  let low = Math.min(...values), high = Math.max(...values);
  if (!values.length) [low, high] = [0, 1];
  if (fromZero) return { low: 0, high: high || 1, start, end, log: false };
  if (low > 0 && high > 1 && high / low > 50) return { low: low / 1.15, high: high * 1.15, start, end, log: true };
  const air = 0.08 * (high - low) || 0.05 * Math.abs(high) || 0.5;
  const bottom = low >= 0 ? Math.max(0, low - air) : low - air;
  return { low: bottom, high: low >= 0 && high <= 1 ? Math.min(1, high + air) : high + air, start, end, log: false };
}

function pixel(scale, value) {
  const of = scale.log ? (v) => Math.log10(Math.max(v, scale.low)) : (v) => v;
  const share = (of(value) - of(scale.low)) / (of(scale.high) - of(scale.low));
  return scale.start + Math.min(1, Math.max(0, share)) * (scale.end - scale.start);
}

function ticks(scale, most) {
  if (scale.log) {
    const marks = [];
    for (let e = Math.floor(Math.log10(scale.low)); e <= Math.ceil(Math.log10(scale.high)); e += 1) marks.push(10 ** e);
    return marks.filter((mark) => mark >= scale.low && mark <= scale.high);
  }
  const rough = (scale.high - scale.low) / most, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((factor) => power * factor).find((size) => size >= rough * 0.999);
  const marks = [];
  for (let index = Math.ceil(scale.low / step - 1e-9); index <= Math.floor(scale.high / step + 1e-9); index += 1) marks.push(Number((index * step).toPrecision(12)));
  return marks;
}

function tickLabel(value, marks) {
  const size = Math.max(...marks.map(Math.abs));
  if (value === 0) return "0";
  if (size >= 1e4 && size < 1e6 && Math.abs(value) >= 1000) return `${Number((value / 1000).toPrecision(3))}k`;
  if (size < 1.5e-3 || size >= 1e6) return value.toExponential(1).replace(".0e", "e").replace("-", "−");
  const decimals = [0, 1, 2, 3, 4].find((n) => marks.every((mark) => Math.abs(Number(mark.toFixed(n)) - mark) < 1e-9)) ?? 4;
  return value.toLocaleString("en", { minimumFractionDigits: decimals, maximumFractionDigits: decimals }).replace("-", "−");
}

const path = (pairs, x, y) => pairs.map(([a, b], index) => `${index ? "L" : "M"}${pixel(x, a).toFixed(1)} ${pixel(y, b).toFixed(1)}`).join("");

function chart(title, series, alone, index) {
  const along = $("along").value, all = series.flatMap((one) => [...one.line, ...one.raw]);
  const shownBands = series.length <= 4 ? series.flatMap((one) => one.bands) : [];
  const goals = [...new Set(series.map((one) => one.goal).filter(known))];
  const x = axis(all.map(([a]) => a), LEFT, RIGHT, true);
  const y = axis([...all.map(([, b]) => b), ...shownBands.flatMap(([, low, high]) => [low, high]), ...goals], BOTTOM, TOP, title === "learning rate");
  const parts = [...grid(x, y, along)];
  const named = []; // heights of labels, which would else stand on each other
  for (const goal of goals) {
    const at = pixel(y, goal), label = at - TOP < 16 ? at + 14 : at - 5;
    parts.push(draw("path", { class: "goal", d: `M${LEFT} ${at.toFixed(1)}H${RIGHT}` }));
    if (named.every((other) => Math.abs(other - label) > 13)) parts.push(draw("text", { class: "goal-label", x: LEFT + 4, y: label }, `target ${number(goal)}`));
    named.push(label);
  }
  for (const one of series) parts.push(curveOf(one, x, y, series.length <= 4, alone));
  const last = series.map((one) => `${runs.get(one.id).name} ${number(one.line[one.line.length - 1][1])}`).join("; ");
  const hair = draw("path", { class: "hair" });
  const picture = draw("svg", { class: "chart", role: "img", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, "data-points": series.map((one) => one.raw.length || one.line.length).join(",") },
    draw("title", {}, title), draw("desc", {}, `Last values: ${last}`), ...parts, hair);
  place(title, picture, index);
  const figure = figures.get(title);
  figure.read = (at) => reading(series, x, at, hair, along, alone);
  if (figure.pointer !== null) figure.read(figure.pointer);
}

function* grid(x, y, along) {
  const levels = ticks(y, 4);
  for (const level of levels) {
    const at = pixel(y, level);
    yield draw("path", { class: "grid", d: `M${LEFT} ${at.toFixed(1)}H${RIGHT}` });
    yield draw("text", { x: LEFT - 8, y: at + 4, "text-anchor": "end" }, tickLabel(level, levels));
  }
  yield draw("path", { class: "base", d: `M${LEFT} ${BOTTOM}H${RIGHT}` });
  const steps = ticks(x, 5);
  for (const step of steps) {
    const at = pixel(x, step), label = along === "seconds" ? duration(step) : tickLabel(step, steps);
    yield draw("text", { x: at, y: BOTTOM + 18, "text-anchor": at > RIGHT - 16 ? "end" : "middle" }, label);
  }
  yield draw("text", { x: RIGHT, y: BOTTOM + 35, "text-anchor": "end" }, { step: "step", tokens: "tokens", seconds: "time" }[along]);
}

function curveOf(one, x, y, bands, alone) {
  const group = draw("g", { class: colour(one.id) });
  const apart = one.dots && one.line.length < 3; // two looks are two points: nobody knows how it went between them
  if (bands && apart)
    for (const [a, low, high] of one.bands) group.append(draw("path", { class: "whisker", d: `M${pixel(x, a).toFixed(1)} ${pixel(y, low).toFixed(1)}V${pixel(y, high).toFixed(1)}` }));
  else if (bands && one.bands.length > 1) {
    const back = [...one.bands].reverse().map(([a, low]) => [a, low]);
    group.append(draw("path", { class: "band", d: `${path(one.bands.map(([a, , high]) => [a, high]), x, y)}L${path(back, x, y).slice(1)}Z` }));
  }
  if (one.raw.length) group.append(draw("path", { class: "raw", d: path(one.raw, x, y) }));
  group.append(draw("path", { class: apart ? "line apart" : "line", d: path(one.line, x, y) }));
  if (one.dots && one.line.length <= 150)
    for (const [a, b] of one.line) group.append(draw("circle", { cx: pixel(x, a).toFixed(1), cy: pixel(y, b).toFixed(1), r: 3 }));
  if (one.kept) group.append(draw("circle", { class: "kept", cx: pixel(x, one.kept[0]), cy: pixel(y, one.kept[1]), r: 5 }));
  if (alone)
    for (const [a, decision] of one.marks) {
      const shape = { stop: "m-5 -5h10v10h-10z", unknown: "m0 -6l6 6l-6 6l-6 -6z" }[decision];
      if (shape) group.append(draw("path", { class: `mark ${decision}`, d: `M${pixel(x, a).toFixed(1)} ${BOTTOM}${shape}` }, draw("title", {}, decision)));
    }
  return group;
}

function place(title, picture, index) {
  let figure = figures.get(title);
  if (!figure) {
    const output = el("output", { "aria-hidden": "true" });
    const node = el("figure", { "data-chart": title }, el("figcaption", {}, el("b", {}, title), output));
    figure = { node, output, picture: null, pointer: null, read: null };
    node.addEventListener("pointermove", (event) => {
      const box = figure.picture.getBoundingClientRect();
      figure.pointer = ((event.clientX - box.left) / box.width) * WIDTH;
      figure.read(figure.pointer);
    });
    node.addEventListener("pointerleave", () => { figure.pointer = null; figure.read(null); });
    figures.set(title, figure);
    $("charts").insertBefore(node, $("charts").children[index] ?? null);
  }
  if (figure.picture) figure.picture.replaceWith(picture);
  else figure.node.append(picture);
  figure.picture = picture;
}

function reading(series, x, at, hair, along, alone) {
  const output = hair.closest("figure")?.querySelector("output");
  if (!output) return;
  if (at === null) { hair.removeAttribute("d"); output.replaceChildren(); return; }
  const nearest = series.map((one) => one.line.reduce((a, b) => (Math.abs(pixel(x, b[0]) - at) < Math.abs(pixel(x, a[0]) - at) ? b : a)));
  const first = nearest[0][0];
  hair.setAttribute("d", `M${pixel(x, first).toFixed(1)} ${TOP}V${BOTTOM}`);
  const where = along === "seconds" ? duration(first) : `${along === "step" ? "step" : "tokens"} ${count(first)}`;
  output.replaceChildren(`${where}:`, ...series.map((one, index) =>
    el("span", { class: colour(one.id) }, number(nearest[index][1]) + (alone ? (one.told.get(nearest[index][0]) ?? "") : ""))));
}

// --- verdicts ---------------------------------------------------------------------------------

function everyVerdict(id) {
  const evals = curves.get(id)?.evals ?? [], run = runs.get(id);
  if (!evals.length) return [];
  const names = [...new Set([run.metric, "loss", ...evals.flatMap((one) => Object.keys(one.metrics))])]
    .filter((name) => !isSlice(name) && evals.some((one) => name in one.metrics)).slice(0, 6);
  const head = el("tr", {}, el("th", { scope: "col", class: "n" }, "step"), ...["decision", "reason"].map((name) => el("th", { scope: "col" }, name)),
    ...names.map((name) => el("th", { scope: "col", class: "n" }, name)), ...["rows", "took"].map((name) => el("th", { scope: "col", class: "n" }, name)));
  const body = [...evals].reverse().slice(0, 400).map((one) => el("tr", { class: one.step === run.kept ? "kept" : null },
    el("th", { scope: "row", class: "n" }, count(one.step), one.step === run.kept ? el("span", { class: "tag" }, run.phase === "ended" ? "kept" : "best") : ""),
    el("td", {}, el("span", { class: `decision ${["stop", "unknown", "continue"].includes(one.decision) ? one.decision : ""}` }, one.decision), one.rule ? el("small", {}, one.rule) : ""),
    el("td", { class: "reason" }, one.reason, ...one.notes.map((note) => el("small", {}, note))),
    ...names.map((name) => el("td", { class: "n" }, number(one.metrics[name]), el("small", {}, interval(one.intervals[name])))), el("td", { class: "n" }, count(one.examples)), el("td", { class: "n" }, duration(one.took))));
  return [el("h2", {}, "Verdicts, the newest first"),
    el("div", { class: "tall", tabindex: "0", role: "region", "aria-label": "Every evaluation and its verdict" }, el("table", {}, el("thead", {}, head), el("tbody", {}, ...body)))];
}

function lastVerdicts(ids) {
  if (!ids.length) return [];
  const head = el("tr", {}, ...["run", "state"].map((name) => el("th", { scope: "col" }, name)), el("th", { scope: "col", class: "n" }, "score"),
    el("th", { scope: "col" }, "why"), ...["step", "time"].map((name) => el("th", { scope: "col", class: "n" }, name)), el("th", { scope: "col" }, ""));
  const body = ids.map((id) => {
    const run = runs.get(id);
    return el("tr", { class: colour(id) }, el("th", { scope: "row" }, el("i", { class: "swatch" }), " ", run.name), el("td", {}, el("b", { class: `dot ${run.tone}` }, run.state)),
      el("td", { class: "n" }, number(run.value), el("small", {}, run.metric), el("small", {}, interval(run.interval))), el("td", { class: "reason" }, run.reason),
      el("td", { class: "n" }, count(run.step)), el("td", { class: "n" }, duration(run.seconds)),
      el("td", {}, el("a", { href: `report/${id}`, target: "_blank", rel: "noopener" }, "report")));
  });
  return [el("h2", {}, "Verdicts"), el("div", { class: "scroll" }, el("table", {}, el("thead", {}, head), el("tbody", {}, ...body)))];
}

// --- start ------------------------------------------------------------------------------------

$("find").addEventListener("input", (event) => { view.find = event.target.value; arrange(); });
$("along").addEventListener("change", detail);
$("smooth").addEventListener("change", detail);
$("open").addEventListener("click", () => { location.hash = `#/runs/${[...picked].join(",")}`; });
$("paired").addEventListener("click", () => { window.open(`compare?ids=${[...picked].join(",")}`, "_blank", "noopener"); });
addEventListener("hashchange", route);
document.addEventListener("visibilitychange", () => { if (!document.hidden) { lookAgain(); pointsAgain(); } });
setInterval(() => {
  if ($("list").hidden) return;
  for (const [id, shown] of rows) {
    const cell = shown.querySelector(".changed"), text = ago(runs.get(id).changed);
    if (cell.textContent !== text) cell.textContent = text;
  }
}, 10000);
heads();
route();
