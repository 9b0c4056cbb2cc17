"use strict";
// A key does what the element that names it in `data-key` does: a button is pressed, a link is
// followed, a field is focused. While a text is being written only Escape and Ctrl+Enter act.
const writing = (element) => element.matches("input:not([type=hidden]), textarea");

document.addEventListener("keydown", (event) => {
  const field = writing(event.target) ? event.target : null;
  if (field && event.key === "Escape") {
    field.blur();
    event.preventDefault();
    return;
  }
  if (field && event.key === "Enter") {
    const button = document.querySelector("[data-enter]");
    // Enter in the reason must not press the form's first button, which is a decision.
    if (event.ctrlKey && button) button.click();
    if (field.form.dataset.guard !== undefined && (event.ctrlKey || field.matches("input"))) {
      event.preventDefault();
      if (!event.ctrlKey) field.blur();
    }
    return;
  }
  if (field || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  const target = document.querySelector(`[data-key="${CSS.escape(event.key.toLowerCase())}"]`);
  if (!target) return;
  event.preventDefault();
  if (writing(target)) target.focus();
  else target.click();
});
