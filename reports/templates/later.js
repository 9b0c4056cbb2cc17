"use strict";
// Parts of a long page that are made when they are opened, and removed when they are closed.
for (const details of document.querySelectorAll("details.later")) {
  const template = details.querySelector("template");
  details.addEventListener("toggle", () => {
    while (template.nextSibling) template.nextSibling.remove();
    if (details.open) details.append(template.content.cloneNode(true));
  });
}
