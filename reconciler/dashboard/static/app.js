// Keys for who has no mouse at hand: / goes to the filter, j and k to the next and the last child, Enter opens it.
"use strict";
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = event.target.matches("input, select, textarea");
  if (event.key === "Escape" && typing) {
    event.preventDefault(); // a browser would empty the filter
    event.target.blur();
  }
  if (typing) return;
  if (event.key === "/") {
    const filter = document.querySelector("#text");
    if (filter) { event.preventDefault(); filter.focus(); }
  }
  if (event.key === "j" || event.key === "k") {
    const links = [...document.querySelectorAll("table.fleet a")];
    const at = links.indexOf(document.activeElement);
    const next = event.key === "j" ? Math.min(at + 1, links.length - 1) : Math.max(at - 1, 0);
    if (links[next]) { event.preventDefault(); links[next].focus(); }
  }
});
