"use strict";
// Shows the rows that fit all four filters, and counts them.
const form = document.getElementById("filters");
const count = document.getElementById("count");
const rows = Array.from(document.querySelectorAll("article.row"), (element) => ({
  element,
  verdict: element.dataset.verdict,
  split: element.dataset.split,
  tags: JSON.parse(element.dataset.tags),
  text: element.textContent.toLowerCase(),
}));

function fits(row, wanted) {
  return (
    (!wanted.verdict || row.verdict === wanted.verdict) &&
    (!wanted.split || row.split === wanted.split) &&
    (!wanted.tag || row.tags.includes(wanted.tag)) &&
    row.text.includes(wanted.text.trim().toLowerCase())
  );
}

function update() {
  const wanted = Object.fromEntries(new FormData(form));
  let shown = 0;
  for (const row of rows) {
    row.element.hidden = !fits(row, wanted);
    if (!row.element.hidden) shown += 1;
  }
  count.textContent = `${shown} of ${rows.length} shown`;
}

form.addEventListener("input", update);
form.addEventListener("submit", (event) => event.preventDefault());
form.hidden = false;
update();
