"use strict";
// The table of every prompt: a page of rows at a time, made from the data in the page. What models
// and users wrote is only ever text. Filters, order, page and open row are in the address.
const PAGE_SIZE = 50;
const MAX_WORDS = 400; // an answer with more is shown without marks
const data = JSON.parse(document.getElementById("rows").textContent);
const form = document.getElementById("filters");
const body = document.querySelector("#table tbody");
const count = document.getElementById("count");
const place = document.getElementById("place");
const unknown = document.getElementById("unknown");
const steps = { previous: -1, next: 1 };
const WORST_FIRST = ["not covered", "unscored", "covered"];
const state = { page: 0, by: "verdict", down: false, open: new Set() };

function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

function readObject(text) {
  try {
    const value = JSON.parse(text);
    return value && typeof value === "object" && !Array.isArray(value) ? value : null;
  } catch {
    return null;
  }
}

function* leaves(value, path) {
  for (const [key, inner] of Object.entries(value)) {
    const here = path ? `${path}.${key}` : key;
    if (inner && typeof inner === "object" && !Array.isArray(inner) && Object.keys(inner).length) {
      yield* leaves(inner, here);
    } else {
      yield [here, JSON.stringify(inner)];
    }
  }
}

/** Paths of the fields in which an answer differs; null where one of the two is no JSON object. */
function differingFields(reference, answer) {
  const wanted = readObject(reference);
  const given = readObject(answer);
  if (!wanted || !given) return null;
  const left = new Map(leaves(wanted, ""));
  const right = new Map(leaves(given, ""));
  return [...new Set([...left.keys(), ...right.keys()])].filter(
    (path) => left.get(path) !== right.get(path),
  );
}

const covers = ([similarity, correctness]) =>
  similarity >= data.thresholds[0] && correctness >= data.thresholds[1];
const isDoubtful = (answer) => new Set(answer.votes.map(covers)).size > 1;

for (const row of data.rows) {
  const { tuned, service } = row.answers;
  row.fields = differingFields(row.reference, tuned.text) ?? [];
  row.kinds = new Set(
    [
      row.changed,
      service?.verdict === "covered" && tuned.verdict !== "covered" && "service",
      data.suspect.includes(row.id) && "suspect",
      isDoubtful(tuned) && "doubtful",
    ].filter(Boolean),
  );
  row.key = row.sample ? `${row.id}.${row.sample + 1}` : row.id;
}

/** What the text is looked for in; made with the first search, so that the page opens sooner. */
function textOf(row) {
  row.find ??= JSON.stringify([row.prompt, row.reference, row.others, row.answers]).toLowerCase();
  return row.find;
}

const byKey = new Map(data.rows.map((row) => [row.key, row]));
const ORDERS = {
  id: (row) => row.key,
  verdict: (row) => WORST_FIRST.indexOf(row.answers.tuned.verdict),
  split: (row) => row.split,
  prompt: (row) => row.prompt.toLowerCase(),
  fields: (row) => -row.fields.length,
};

function fits(row, wanted) {
  const text = wanted.text.trim().toLowerCase();
  return (
    (!wanted.verdict || row.answers.tuned.verdict === wanted.verdict) &&
    (!wanted.split || row.split === wanted.split) &&
    (!wanted.tag || row.tags.includes(wanted.tag)) &&
    (!wanted.field || row.fields.includes(wanted.field)) &&
    (!wanted.kind || row.kinds.has(wanted.kind)) &&
    (!text || textOf(row).includes(text))
  );
}

function chosen() {
  const wanted = Object.fromEntries(new FormData(form));
  const order = ORDERS[state.by];
  const rows = data.rows.filter((row) => fits(row, wanted));
  const sign = state.down ? -1 : 1;
  return rows.sort((a, b) => {
    const [left, right] = [order(a), order(b)];
    return left === right ? 0 : sign * (left < right ? -1 : 1);
  });
}

function badge(verdict) {
  const kind = { covered: "covered", "not covered": "missed" }[verdict] ?? "unscored";
  return make("span", { className: `badge ${kind}`, textContent: verdict });
}

/** The answer's text with the words marked that the reference does not have in that order. */
function marked(reference, answer) {
  const split = (text) => text.split(/(\s+|[{}[\]",:])/).filter(Boolean);
  const [left, right] = [split(reference), split(answer)];
  const element = make("p", { className: "text", dir: "auto" });
  if (left.length * right.length > MAX_WORDS * MAX_WORDS || reference === answer) {
    element.textContent = answer || "(empty)";
    return element;
  }
  const width = right.length + 1;
  const common = new Uint16Array((left.length + 1) * width);
  for (let i = left.length - 1; i >= 0; i -= 1) {
    for (let j = right.length - 1; j >= 0; j -= 1) {
      common[i * width + j] =
        left[i] === right[j]
          ? common[(i + 1) * width + j + 1] + 1
          : Math.max(common[(i + 1) * width + j], common[i * width + j + 1]);
    }
  }
  for (let i = 0, j = 0; j < right.length; ) {
    if (i < left.length && left[i] === right[j]) {
      element.append(right[j]);
      i += 1;
      j += 1;
    } else if (i < left.length && common[(i + 1) * width + j] >= common[i * width + j + 1]) {
      i += 1;
    } else {
      element.append(right[j].trim() ? make("mark", { textContent: right[j] }) : right[j]);
      j += 1;
    }
  }
  if (!answer) element.textContent = "(empty)";
  return element;
}

function votesOf(answer) {
  if (!answer.votes.length && !answer.scores.length) return [];
  const items = answer.votes.map(([similarity, correctness, reference, order, reason]) =>
    make(
      "li",
      {},
      `Similarity ${similarity}, correctness ${correctness}, of the reference ${reference}; shown ${order}. `,
      make("span", { className: "soft", dir: "auto", textContent: reason }),
    ),
  );
  const votes = answer.votes.map(([similarity, correctness]) => `${similarity}/${correctness}`);
  const summary = votes.length ? `Votes ${votes.join(", ")}` : "No readable vote";
  return [
    make(
      "details",
      {},
      make("summary", { textContent: summary }),
      make("ol", {}, ...items),
      make("p", { className: "soft", textContent: answer.scores.join(", ") }),
    ),
  ];
}

function answerOf(row, model) {
  const answer = row.answers[model];
  const name = data.models[model] + (answer.cut ? " (cut off)" : "");
  const scores = answer.scored
    ? ` similarity ${answer.similarity}, correctness ${answer.correctness}`
    : "";
  return make(
    "div",
    { className: `answer ${model}` },
    make("h3", { textContent: name }),
    marked(row.reference, answer.text),
    make("p", { className: "verdict" }, badge(answer.verdict), scores),
    make("p", { className: "reason", dir: "auto", textContent: answer.reason }),
    ...votesOf(answer),
  );
}

function detailOf(row) {
  const cell = make(
    "td",
    { colSpan: 5 },
    make("h3", { textContent: "Prompt" }),
    make("p", { className: "text prompt", dir: "auto", textContent: row.prompt }),
    make(
      "div",
      { className: "answers" },
      make(
        "div",
        { className: "reference" },
        make("h3", { textContent: "Reference" }),
        make("p", { className: "text", dir: "auto", textContent: row.reference }),
        ...(row.others ?? []).flatMap((other) => [
          make("h3", { textContent: "Also right" }),
          make("p", { className: "text", dir: "auto", textContent: other }),
        ]),
      ),
      ...Object.keys(row.answers).map((model) => answerOf(row, model)),
    ),
  );
  return make("tr", { className: "detail" }, cell);
}

const NOTES = {
  gained: `gained since round ${data.previous}`,
  lost: `lost since round ${data.previous}`,
  suspect: "suspect reference",
  doubtful: "doubtful",
};

function lineOf(row) {
  const isOpen = state.open.has(row.key);
  const button = make("button", { type: "button", textContent: row.key });
  button.setAttribute("aria-expanded", isOpen);
  button.addEventListener("click", () => toggle(row));
  const notes = [...row.kinds].flatMap((kind) => NOTES[kind] ?? []);
  const small = [row.split, ...row.tags, ...notes].map((text) =>
    make("span", { className: "tag", textContent: text }),
  );
  const line = make(
    "tr",
    { className: "row" },
    make("td", {}, button),
    make("td", {}, badge(row.answers.tuned.verdict)),
    make("td", { className: "small" }, ...small),
    make("td", { className: "start", dir: "auto", textContent: row.prompt.slice(0, 200) }),
    make("td", { textContent: row.fields.join(", ") }),
  );
  ["Id", "Verdict", "Split and tags", "Prompt", "Differs in"].forEach((name, at) => {
    line.children[at].dataset.name = name;
  });
  return isOpen ? [line, detailOf(row)] : [line];
}

function draw() {
  const rows = chosen();
  const pages = Math.max(1, Math.ceil(rows.length / PAGE_SIZE));
  state.page = Math.min(Math.max(state.page, 0), pages - 1);
  const first = state.page * PAGE_SIZE;
  body.replaceChildren(...rows.slice(first, first + PAGE_SIZE).flatMap(lineOf));
  count.textContent = `${rows.length} of ${data.rows.length} shown`;
  place.textContent = `page ${state.page + 1} of ${pages}`;
  for (const [id, step] of Object.entries(steps)) {
    // Not `disabled`: the button that was just pressed would lose the focus.
    const isEnd = state.page + step < 0 || state.page + step >= pages;
    document.getElementById(id).setAttribute("aria-disabled", isEnd);
  }
  for (const header of document.querySelectorAll("#table th[data-by]")) {
    const order = state.down ? "descending" : "ascending";
    header.setAttribute("aria-sort", header.dataset.by === state.by ? order : "none");
  }
}

/** Write filters, order, page and open row into the address, so that a link shows the same. */
function address() {
  const parts = [...new FormData(form)].filter(([, value]) => value);
  if (state.by !== "verdict" || state.down) parts.push(["by", state.by + (state.down ? "-" : "")]);
  if (state.page) parts.push(["page", state.page + 1]);
  if (state.open.size) parts.push(["row", [...state.open].join(" ")]);
  const text = new URLSearchParams(parts).toString();
  history.replaceState(null, "", text ? `#prompts&${text}` : "#prompts");
  unknown.hidden = true;
}

function toggle(row) {
  if (!state.open.delete(row.key)) {
    state.open.clear(); // one at a time: what is drawn stays small
    state.open.add(row.key);
  }
  draw();
  address();
  body.querySelector("button[aria-expanded=true]")?.focus({ preventScroll: true });
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // typed by hand: a bare percent sign
  }
}

/** Take filters and row from the address: `#t103`, or `#prompts&verdict=covered&row=t103`. */
function read() {
  const [start, ...parts] = location.hash.slice(1).split("&");
  const named = decoded(start);
  const values = new URLSearchParams(parts.join("&"));
  const isSection = document.getElementById(named) !== null;
  const wanted = named === "prompts" ? values.get("row") : isSection ? null : named;
  unknown.hidden = !wanted || byKey.has(wanted);
  unknown.firstElementChild.textContent = `There is no prompt "${wanted}" on this page.`;
  if (!unknown.hidden) unknown.scrollIntoView({ block: "center" });
  if (named !== "prompts" && !byKey.has(wanted)) return;
  for (const field of form.elements) if (field.name) field.value = values.get(field.name) ?? "";
  const by = values.get("by") ?? "verdict";
  state.down = by.endsWith("-");
  state.by = by.replace("-", "") in ORDERS ? by.replace("-", "") : "verdict";
  state.open = new Set(byKey.has(wanted) ? [wanted] : []);
  const at = chosen().findIndex((row) => state.open.has(row.key));
  state.page = at < 0 ? Number(values.get("page") ?? 1) - 1 || 0 : Math.floor(at / PAGE_SIZE);
  draw();
  body.querySelector("button[aria-expanded=true]")?.scrollIntoView({ block: "center" });
}

function download(name, type, text) {
  const link = make("a", { href: URL.createObjectURL(new Blob([text], { type })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

function csv(rows) {
  const models = Object.keys(data.models);
  const head = ["id", "split", "tags", "prompt", "reference"];
  const names = models.flatMap((model) => [model, `${model}_verdict`]);
  // A leading = + - or @ would be a formula in a spreadsheet.
  const cell = (value) => `"${String(value ?? "").replace(/^[=+\-@\t\r]/, "'$&").replaceAll('"', '""')}"`;
  const lines = rows.map((row) => [
    row.key, row.split, row.tags.join(" "), row.prompt, row.reference,
    ...models.flatMap((model) => [row.answers[model]?.text, row.answers[model]?.verdict]),
  ]);
  return [[...head, ...names], ...lines].map((line) => line.map(cell).join(",")).join("\r\n");
}

const fields = [...new Set(data.rows.flatMap((row) => row.fields))].sort();
form.elements.field.append(...fields.map((name) => make("option", { textContent: name })));
form.elements.field.closest("label").hidden = !fields.length;
form.addEventListener("input", () => {
  state.page = 0;
  draw();
  address();
});
form.addEventListener("submit", (event) => event.preventDefault());
for (const header of document.querySelectorAll("#table th[data-by]")) {
  header.querySelector("button").addEventListener("click", () => {
    state.down = state.by === header.dataset.by && !state.down;
    state.by = header.dataset.by;
    draw();
    address();
  });
}
for (const [id, step] of Object.entries(steps)) {
  document.getElementById(id).addEventListener("click", () => {
    state.page += step;
    state.open.clear();
    draw();
    address();
  });
}
document.getElementById("as-csv").addEventListener("click", () => {
  download("prompts.csv", "text/csv", csv(chosen()));
});
document.getElementById("as-json").addEventListener("click", () => {
  const rows = chosen().map(({ find, fields: differs, kinds, key, ...row }) => row);
  download("prompts.json", "application/json", JSON.stringify(rows, null, 2));
});
document.getElementById("every-prompt").hidden = false;
window.addEventListener("hashchange", read);
draw();
read();
