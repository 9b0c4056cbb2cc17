"use strict";
// What the theme leaves out: a name for the search, and keys to scroll what is wider than the screen.
function name() {
  document.querySelector(".md-search")?.setAttribute("aria-label", "Search");
  // Landmarks need different names: lists within lists, and the buttons of each block of code.
  document.querySelectorAll(".md-nav .md-nav, .md-code__nav").forEach((list, number) => {
    const title = list.querySelector(".md-nav__title")?.textContent.trim() ?? "Code";
    list.removeAttribute("aria-labelledby");
    list.setAttribute("aria-label", `${title}, ${number + 1}`);
  });
  for (const code of document.querySelectorAll("pre > code")) code.tabIndex = 0;
  document.querySelectorAll(".md-typeset__scrollwrap").forEach((table, number) => {
    table.tabIndex = 0;
    table.setAttribute("role", "region");
    table.setAttribute("aria-label", `Table ${number + 1}`);
  });
}
// The theme wraps tables when the page is there.
new MutationObserver(name).observe(document.body, { childList: true, subtree: true });
name();
