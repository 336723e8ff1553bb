// Ctrl/Cmd-K: find a page or anything that this page links to. Words are matched in any order.
const MAX_RESULTS = 40;
let dialog;
let input;
let list;
let found = [];
let chosen = 0;

function entries() {
  const seen = new Map();
  // Pages come first, so that one keeps its own name when something else leads there too.
  for (const link of document.querySelectorAll(".nav a[href^='/']")) add(seen, link);
  for (const link of document.querySelectorAll("a[href^='/']")) add(seen, link);
  return [...seen.values()];
}

function add(seen, link) {
  const name = (link.dataset.name || link.textContent).replace(/\s+/g, " ").trim();
  const href = link.getAttribute("href");
  if (!name || seen.has(href) || link.closest("dialog.palette") || href.startsWith("/static/")) return;
  seen.set(href, { name, href, kind: link.dataset.kind || (link.closest(".nav") ? "Page" : "On this page") });
}

function build() {
  dialog = document.createElement("dialog");
  dialog.className = "palette";
  dialog.setAttribute("aria-label", "Go to");
  input = document.createElement("input");
  Object.assign(input, { type: "text", placeholder: "Go to a page, or to anything on this one", autocomplete: "off", spellcheck: false });
  input.setAttribute("role", "combobox");
  input.setAttribute("aria-label", "Go to");
  input.setAttribute("aria-expanded", "true");
  input.setAttribute("aria-controls", "palette-list");
  list = document.createElement("ul");
  list.id = "palette-list";
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", "Results");
  dialog.append(input, list);
  document.body.append(dialog);
  input.addEventListener("input", render);
  input.addEventListener("keydown", onKey);
  list.addEventListener("click", (event) => {
    const item = event.target.closest("li[data-at]");
    if (item) go(found[Number(item.dataset.at)]);
  });
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
}

function render() {
  const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
  found = entries().filter((e) => words.every((w) => e.name.toLowerCase().includes(w))).slice(0, MAX_RESULTS);
  chosen = 0;
  list.replaceChildren(...found.map((entry, at) => {
    const item = document.createElement("li");
    item.id = `palette-${at}`;
    item.dataset.at = at;
    item.setAttribute("role", "option");
    for (const text of [entry.name, entry.kind]) {
      const span = document.createElement("span");
      span.textContent = text;
      item.append(span);
    }
    return item;
  }));
  if (found.length === 0) {
    const none = document.createElement("li");
    none.className = "palette-empty";
    none.setAttribute("role", "option");
    none.setAttribute("aria-disabled", "true");
    none.textContent = "Nothing by that name.";
    list.append(none);
  }
  mark();
}

function mark() {
  for (const item of list.querySelectorAll("li[data-at]")) {
    const on = Number(item.dataset.at) === chosen;
    item.setAttribute("aria-selected", String(on));
    if (on) item.scrollIntoView({ block: "nearest" });
  }
  if (found.length) input.setAttribute("aria-activedescendant", `palette-${chosen}`);
  else input.removeAttribute("aria-activedescendant");
}

function go(entry) {
  if (entry) location.assign(entry.href);
}

function onKey(event) {
  if (event.key === "Enter") {
    event.preventDefault();
    go(found[chosen]);
  } else if ((event.key === "ArrowDown" || event.key === "ArrowUp") && found.length) {
    event.preventDefault();
    chosen = (chosen + (event.key === "ArrowDown" ? 1 : -1) + found.length) % found.length;
    mark();
  }
}

function open() {
  for (const menu of document.querySelectorAll("details.menu[open]")) menu.open = false;
  if (!dialog) build();
  input.value = "";
  render();
  dialog.showModal();
}

if (document.querySelector(".shell")) {
  document.addEventListener("keydown", (event) => {
    if (event.key.toLowerCase() !== "k" || !(event.metaKey || event.ctrlKey) || event.altKey || event.shiftKey) return;
    event.preventDefault();
    if (dialog?.open) dialog.close();
    else open();
  });
  for (const button of document.querySelectorAll("[data-palette]")) {
    button.hidden = false;
    button.addEventListener("click", open);
  }
}
