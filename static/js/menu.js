// Menus are <details>: this closes them on Escape, on a click elsewhere, when the focus goes elsewhere, and moves through them with
// the arrow keys.
const openMenus = () => document.querySelectorAll("details.menu[open]");

document.addEventListener("click", (event) => {
  for (const menu of openMenus()) if (!menu.contains(event.target)) menu.open = false;
});

// A click moves the focus to what is around the menu, or nowhere; the one above decides then.
document.addEventListener("focusout", (event) => {
  const menu = event.target.closest?.("details.menu[open]");
  const to = event.relatedTarget;
  if (menu && to && !menu.contains(to) && !to.contains(menu)) menu.open = false;
});

document.addEventListener("keydown", (event) => {
  const menu = event.target.closest?.("details.menu[open]");
  if (!menu) return;
  if (event.key === "Escape") {
    menu.open = false;
    menu.querySelector("summary").focus();
    return;
  }
  if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
  const items = [...menu.querySelectorAll(".menu-item")];
  if (items.length === 0) return;
  event.preventDefault();
  const step = event.key === "ArrowDown" ? 1 : -1;
  const at = items.indexOf(document.activeElement);
  const next = at === -1 && step === -1 ? items.length - 1 : (at + step + items.length) % items.length;
  items[next].focus();
});

// Where the navigation scrolls, it begins where one is: as a row on narrow screens, and in the sidebar of low ones.
const here = document.querySelector(".nav a[aria-current]");
const bar = here?.parentElement;
if (bar && bar.scrollWidth > bar.clientWidth) {
  bar.scrollLeft = here.offsetLeft - bar.offsetLeft - 16;
}
if (bar && here.offsetTop + here.offsetHeight > bar.clientHeight) {
  bar.scrollTop = here.offsetTop - bar.clientHeight / 2;
}
