"use strict";
// Builds the page from the run as JSON. All text comes in as text, never as markup.
(() => {
  const run = JSON.parse(document.getElementById("data").textContent);
  const page = document.getElementById("page");
  const summary = run.summary || {};

  // ---- small helpers ----

  // make("p", {class: "dim"}, "text", node, ...)
  const make = (tag, attributes, ...children) => {
    const node = document.createElement(tag);
    for (const [key, value] of Object.entries(attributes || {})) node.setAttribute(key, value);
    for (const child of children.flat()) if (child !== null && child !== undefined) node.append(child);
    return node;
  };
  const section = (title, ...children) =>
    page.append(make("section", {}, make("h2", {}, title), ...children));
  const number = (x) => {
    if (x === null || x === undefined || Number.isNaN(x)) return "–";
    if (typeof x !== "number") return String(x);
    if (Number.isInteger(x) && Math.abs(x) < 1e9) return x.toLocaleString("en");
    const size = Math.abs(x);
    if (size >= 1e6 || size < 1e-3) return x.toExponential(2).replace("e+", "e").replace(/\.?0+e/, "e");
    return String(Number(x.toPrecision(4)));
  };
  const duration = (s) => {
    if (!(s >= 0)) return "–";
    if (s < 1) return `${Math.round(s * 1000)} ms`;
    if (s < 120) return `${Number(s.toPrecision(3))} s`;
    if (s < 7200) return `${Math.floor(s / 60)} min ${Math.round(s % 60)} s`;
    return `${Math.floor(s / 3600)} h ${Math.round((s % 3600) / 60)} min`;
  };
  const words = (name) => name.replace(/_/g, " ");
  const table = (rows, head, kind) =>
    make("div", {class: "scroll"}, make("table", {class: "plain " + (kind || "")},
      head ? make("thead", {}, make("tr", {}, head.map((h) => make("th", {}, h)))) : null,
      make("tbody", {}, rows.map((row) => make("tr", {}, row.map((cell) => make("td", {}, cell)))))));
  // The values of a split as they were measured last.
  const lastOf = (split) => {
    const found = {};
    for (const one of run.curves) {
      if (one.split === split && one.value.length) found[one.name] = one.value[one.value.length - 1];
    }
    return found;
  };
  const some = (object) => object && Object.keys(object).length > 0;

  // ---- the headline ----

  const headline = () => {
    const heading = page.querySelector("h1");
    const reason = summary.reason || "still running, or ended without a word";
    const code = summary.exit_code;
    const kind = code === undefined ? "warn" : code === 0 ? "good" : code > 128 ? "warn" : "bad";
    heading.after(
      make("p", {}, make("span", {class: "state " + kind}, reason)),
      make("p", {class: "dim small"},
        [run.run.directory, new Date(run.run.written * 1000).toLocaleString()]
          .filter((x) => x).join(" · ")));
    const facts = [];
    const measured = some(summary.test) ? ["test", summary.test]
      : some(summary.best_valid) ? ["best valid", summary.best_valid]
      : some(summary.valid) ? ["valid", summary.valid]
      : some(lastOf("valid")) ? ["valid", lastOf("valid")] : ["train", summary.train || lastOf("train")];
    const order = (name) => ["loss", "accuracy", "rmse", "r2", "auc", "f1", "perplexity"].indexOf(name);
    const names = Object.keys(measured[1]).filter((n) => order(n) >= 0).sort((a, b) => order(a) - order(b));
    for (const name of names.slice(0, 4)) {
      facts.push([number(measured[1][name]), `${measured[0]} ${words(name)}`]);
    }
    const steps = lastOfAll("step"), seconds = lastOfAll("seconds");
    facts.push([duration(summary.seconds !== undefined ? summary.seconds : seconds), "time"]);
    facts.push([number(summary.steps !== undefined ? summary.steps : steps),
      run.run.total_steps ? `of ${number(run.run.total_steps)} steps` : "steps"]);
    if (summary.parameters !== undefined) facts.push([number(summary.parameters), "parameters"]);
    if (summary.best_epoch > 0) facts.push([number(summary.best_epoch), "best epoch"]);
    if (summary.samples_per_second > 0) facts.push([number(Math.round(summary.samples_per_second)), "rows per second"]);
    page.append(make("div", {class: "facts"},
      facts.map(([value, name]) => make("div", {class: "fact"}, make("b", {}, value), make("span", {}, name)))));
  };
  const lastOfAll = (member) => {
    let last = 0;
    for (const one of run.curves) if (one[member].length) last = Math.max(last, one[member][one[member].length - 1]);
    return last;
  };

  // ---- what the watchdog found ----

  const findings = () => {
    // The terminal was told of findings, too.
    const warnings = run.messages.filter((m) => m.warning && !(m.label === "health" && run.findings.length));
    if (!run.findings.length && !warnings.length) return;
    const known = ["kind", "step", "epoch", "layer", "message", "text", "what", "evidence", "remedy", "severity", "cause", "name", "rule", "since"];
    const told = (value) => (Array.isArray(value) ? value.map(told).join(", ")
      : value && typeof value === "object" ? Object.entries(value).map(([k, v]) => `${words(k)} ${told(v)}`).join(", ")
      : typeof value === "number" ? number(value) : String(value));
    const list = run.findings.map((f) => {
      const where = [f.layer !== undefined && f.layer !== null ? `layer ${f.layer}` : "",
        f.since < f.step ? `steps ${number(f.since)} to ${number(f.step)}` : f.step !== undefined ? `step ${number(f.step)}` : "",
        f.severity === "ended" ? "over" : ""].filter((x) => x).join(", ");
      const what = f.message || f.text || f.what || words(String(f.rule || f.cause || f.name || "finding"));
      const kind = f.severity === "ended" || f.severity === "note" ? " over" : ["error", "bad", "fatal"].includes(f.severity) ? " bad" : "";
      const rest = Object.entries(f).filter(([key]) => !known.includes(key))
        .map(([key, value]) => `${words(key)}: ${told(value)}`);
      return make("div", {class: "finding" + kind},
        make("p", {}, make("b", {}, typeof what === "string" ? what : JSON.stringify(what)),
          where ? make("span", {class: "dim"}, ` (${where})`) : null),
        some(f.evidence) ? make("p", {class: "small dim"}, told(f.evidence)) : null,
        f.remedy ? make("p", {class: "small"}, `Remedy: ${f.remedy}`) : null,
        rest.length ? make("p", {class: "small dim"}, rest.join(" · ")) : null);
    });
    const said = warnings.map((m) => make("div", {class: "finding"},
      make("p", {}, m.label === "warning" ? m.text : `${m.label}: ${m.text}`)));
    section("Findings", ...list, ...said);
  };

  // ---- curves ----

  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const charts = [];  // {draw}: drawn anew where the colours or the axis change
  let axis = "step";
  const ink = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const strokes = () => dark.matches
    ? ["#7db0ff", "#ffb454", "#6fd8a0", "#ff8fa3", "#c3a6ff", "#5fd3e6", "#e6d36f", "#b0b8c4"]
    : ["#2563c9", "#d9730d", "#1a8f55", "#c8324f", "#7a4fd0", "#0f8aa3", "#9a8500", "#5d6673"];
  // Many layers: from the first, blue, to the last, red.
  const ramp = (i, n) => `hsl(${Math.round(220 + 150 * i / Math.max(1, n - 1)) % 360} 70% ${dark.matches ? 66 : 45}%)`;

  const extent = (lines) => {
    let low = Infinity, high = -Infinity, positive = true;
    for (const line of lines) {
      for (const y of line.value) {
        if (y === null) continue;
        if (y <= 0) positive = false;
        low = Math.min(low, y);
        high = Math.max(high, y);
      }
    }
    return {low, high, positive, found: high >= low};
  };

  // 250000 -> "250k": few characters beside an axis.
  const short = (v) => {
    const size = Math.abs(v);
    if (size >= 1e3 && size < 1e9) return size >= 1e6 ? `${Number((v / 1e6).toPrecision(4))}M` : `${Number((v / 1e3).toPrecision(4))}k`;
    return number(v);
  };
  const labels = (u, splits) => splits.map((v) => v === null ? "" : short(v));
  const options = (lines, width, log) => {
    const colours = strokes();
    const line = (one, i) => ({
      label: one.label, spanGaps: true, width: one.faint ? 1 : 2,
      stroke: lines.length > colours.length ? ramp(i, lines.length)
        : one.faint ? ramp(0, 2).replace("70%", "30%") : colours[i % colours.length],
      dash: one.dash, points: {show: one.value.length < 40, size: 5},
      value: (u, v) => number(v),
    });
    const paint = {stroke: ink("--dim"), grid: {stroke: ink("--line"), width: 1}, ticks: {stroke: ink("--line"), width: 1}, font: "11px system-ui, sans-serif"};
    return {
      width, height: Math.round(Math.min(280, Math.max(200, width * 0.5))),
      cursor: {drag: {x: true, y: false}, points: {size: 6}},
      scales: {x: {time: false}, y: log ? {distr: 3} : {}},
      axes: [
        {...paint, values: labels, space: 60, size: 32},
        {...paint, values: labels, size: 58},
      ],
      series: [{label: axis === "step" ? "step" : "seconds", value: (u, v) => number(v)}, ...lines.map(line)],
    };
  };

  // A card with a chart of lines {label, step, seconds, value}.
  const chart = (title, lines, note) => {
    lines = lines.filter((line) => line.value.some((y) => y !== null));
    if (!lines.length) return null;
    const range = extent(lines);
    let log = range.positive && range.high / range.low > 50, plot = null;
    const button = make("button", {type: "button", "aria-pressed": String(log)}, "log");
    const place = make("div", {});
    const draw = () => {
      const width = Math.max(240, place.clientWidth);
      if (plot) plot.destroy();
      const keep = (y) => (log && !(y > 0) ? null : y);
      const x = (line) => {
        const timed = axis === "seconds" && line.seconds.some((s) => s > 0);
        return timed ? line.seconds : line.step;
      };
      const data = uPlot.join(lines.map((line) => [x(line), line.value.map(keep)]));
      plot = new uPlot(options(lines, width, log), data, place);
    };
    button.addEventListener("click", () => {
      log = !log;
      button.setAttribute("aria-pressed", String(log));
      draw();
    });
    charts.push({draw, place});
    return make("div", {class: "card"},
      make("div", {class: "head"}, make("h3", {}, title), range.positive ? button : null),
      place, note ? make("p", {class: "small dim"}, note) : null);
  };

  const lineOf = (split, name, label, look) => {
    const found = run.curves.find((c) => c.split === split && c.name === name);
    return found ? [{label, ...found, ...look}] : [];
  };
  const curves = () => {
    const cards = [chart("loss", [...lineOf("step", "loss", "each step", {faint: true}), ...lineOf("train", "loss", "train"),
      ...lineOf("valid", "loss", "valid")])];
    const names = [];
    for (const c of run.curves) {
      const other = ["loss", "lr", "grad_norm", "rows_per_second"].includes(c.name);
      if (!other && c.split !== "test" && !names.includes(c.name)) names.push(c.name);
    }
    for (const name of names) {
      cards.push(chart(words(name), [...lineOf("step", name, "each step", {faint: true}), ...lineOf("train", name, "train"), ...lineOf("valid", name, "valid")]));
    }
    const either = (name, title) => {
      const steps = lineOf("step", name, title);
      cards.push(chart(title, steps.length ? steps : lineOf("train", name, title)));
    };
    either("lr", "learning rate");
    either("grad_norm", "gradient norm");
    cards.push(chart("rows per second", lineOf("train", "rows_per_second", "rows per second")));
    const shown = cards.filter((card) => card);
    if (!shown.length) return;
    const choices = [["step", "steps"], ["seconds", "seconds"]].map(([value, title]) => {
      const button = make("button", {type: "button", "aria-pressed": String(value === axis)}, title);
      button.addEventListener("click", () => {
        axis = value;
        for (const other of choices) other.setAttribute("aria-pressed", String(other === button));
        for (const one of charts) one.draw();
      });
      return button;
    });
    section("Curves", make("div", {class: "switch"}, "against", ...choices, make("span", {}, "drag to zoom, double click to go back")),
      make("div", {class: "grid"}, shown));
  };

  const layers = () => {
    const cards = [];
    const titles = {grad_norm: "gradient norm", update_ratio: "update norm to weight norm", weight_norm: "weight norm",
      update_norm: "update norm", mean: "mean of the activations", std: "deviation of the activations",
      dead: "share of dead units", saturated: "share of saturated activations"};
    const names = Object.keys(run.health.measures);
    const place = (name) => (Object.keys(titles).includes(name) ? Object.keys(titles).indexOf(name) : 99);
    names.sort((a, b) => place(a) - place(b));
    for (const name of names) {
      const all = run.health.measures[name];
      cards.push(chart(titles[name] || words(name), all.map((one, i) => ({label: run.health.layers[i] || String(i), ...one}))));
    }
    const shown = cards.filter((card) => card);
    if (shown.length) section("Layers", make("div", {class: "grid"}, shown));
  };

  // ---- tables ----

  const metrics = () => {
    const columns = [["train", some(summary.train) ? summary.train : lastOf("train")],
      ["valid", some(summary.valid) ? summary.valid : lastOf("valid")],
      ["best valid", summary.best_valid], ["test", some(summary.test) ? summary.test : lastOf("test")]]
      .filter(([, values]) => some(values));
    if (!columns.length) return;
    const names = [];
    for (const [, values] of columns) for (const name of Object.keys(values)) if (!names.includes(name)) names.push(name);
    const first = (name) => (name === "loss" ? 0 : ["lr", "grad_norm", "rows_per_second"].includes(name) ? 2 : 1);
    names.sort((a, b) => first(a) - first(b));
    section("Metrics", table(names.map((name) => [words(name), ...columns.map(([, values]) => number(values[name]))]),
      ["", ...columns.map(([name]) => name)]));
  };

  const confusion = () => {
    const c = summary.confusion;
    if (!c || !c.counts || !c.counts.length) return;
    const n = c.counts.length, tiny = n > 24;
    const sums = c.counts.map((row) => row.reduce((a, b) => a + b, 0));
    const predicted = c.counts.map((_, k) => c.counts.reduce((a, row) => a + row[k], 0));
    const share = (a, b) => (b > 0 ? `${Math.round(1000 * a / b) / 10}%` : "–");
    const cell = (i, k) => {
      const part = sums[i] > 0 ? c.counts[i][k] / sums[i] : 0;
      const colour = i === k ? "38,140,90" : "205,60,60";
      return make("td", {style: `background:rgba(${colour},${part === 0 ? 0.03 : (0.1 + 0.65 * part).toFixed(3)})`,
        title: `${c.classes[i]} taken for ${c.classes[k]}: ${number(c.counts[i][k])} of ${number(sums[i])}`},
      tiny ? "" : number(c.counts[i][k]));
    };
    const up = n > 5 || c.classes.some((name) => name.length > 9);
    const head = make("tr", {}, make("th", {class: "side"}, ""),
      c.classes.map((name) => make("th", {class: up ? "up" : "", title: name}, name)), tiny ? null : make("th", {class: up ? "up" : ""}, "recall"));
    const rows = c.counts.map((_, i) => make("tr", {}, make("th", {class: "side", title: c.classes[i]}, c.classes[i]),
      c.counts.map((__, k) => cell(i, k)), tiny ? null : make("th", {}, share(c.counts[i][i], sums[i]))));
    const foot = tiny ? null : make("tr", {}, make("th", {class: "side"}, "precision"),
      c.counts.map((_, k) => make("th", {}, share(c.counts[k][k], predicted[k]))), make("th", {}, ""));
    const pairs = [];
    for (let i = 0; i < n; ++i) for (let k = 0; k < n; ++k) if (i !== k && c.counts[i][k] > 0) pairs.push([c.counts[i][k], i, k]);
    pairs.sort((a, b) => b[0] - a[0]);
    section(`Confusion matrix (${c.split})`,
      make("p", {class: "dim small"}, "Rows: the class that it is. Columns: the class that was predicted."),
      make("div", {class: "card scroll"}, make("table", {class: "confusion" + (tiny ? " tiny" : "")}, head, rows, foot)),
      pairs.length && n > 2 ? make("p", {class: "small"}, "Most often taken for another: " + pairs.slice(0, 5)
        .map(([count, i, k]) => `${c.classes[i]} for ${c.classes[k]} (${number(count)})`).join(", ")) : null);
  };

  const histograms = () => {
    const all = run.shown.histograms;
    if (!all || !all.length) return;
    const cards = all.map((h) => {
      const most = Math.max(1, ...h.counts);
      return make("div", {class: "card"}, make("h3", {}, h.name),
        make("p", {class: "small dim"}, `[${(h.shape || []).join(", ")}]  mean ${number(h.mean)}, deviation ${number(h.deviation)}`),
        make("div", {class: "bars"}, h.counts.map((count) => make("i", {style: `height:${(100 * count / most).toFixed(1)}%`}))),
        make("div", {class: "ends"}, make("span", {}, number(h.low)), make("span", {}, number(h.high))),
        h.not_finite ? make("p", {class: "small state bad"}, `${number(h.not_finite)} not finite`) : null);
    });
    const grid = make("div", {class: "histograms"}, cards.slice(0, 24));
    const more = cards.length > 24 ? make("details", {}, make("summary", {}, `${cards.length - 24} more`),
      make("div", {class: "histograms"}, cards.slice(24))) : null;
    section("Weights", grid, more);
  };

  const rest = () => {
    const told = run.messages.filter((m) => !m.warning);
    if (told.length) section("Notes", table(told.map((m) => [m.label, m.text]), null, "words"));
    if (run.config) {
      section("Configuration", make("details", {}, make("summary", {}, "config.toml, every key"), make("pre", {}, run.config)));
    }
    const facts = [["seed", summary.seed], ["shards", summary.shards], ["threads", summary.threads]];
    if (summary.peak_memory_bytes) facts.push(["peak memory", `${number(Math.round(summary.peak_memory_bytes / 1048576))} MiB`]);
    for (const group of ["machine", "versions"]) facts.push(...Object.entries(summary[group] || {}));
    const known = facts.filter(([, value]) => value !== undefined).map(([name, value]) => [words(name), String(value)]);
    if (known.length) section("Environment", table(known, null, "words"));
  };

  headline();
  findings();
  curves();
  metrics();
  confusion();
  layers();
  histograms();
  rest();
  // When everything has its place, so that widths are known.
  for (const one of charts) one.draw();
  dark.addEventListener("change", () => charts.forEach((one) => one.draw()));
  let width = window.innerWidth;
  window.addEventListener("resize", () => {
    if (window.innerWidth === width) return;  // a phone's bar came or went
    width = window.innerWidth;
    charts.forEach((one) => one.draw());
  });
})();
