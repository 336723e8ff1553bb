// Drags the rows of a list whose order counts. The buttons of each row do the same without a pointer and without this.
const show = (root) => {
  for (const handle of root.querySelectorAll("[data-handle]")) handle.hidden = false;
};
show(document);
document.addEventListener("htmx:load", (event) => show(event.target));

document.addEventListener("pointerdown", (event) => {
  const handle = event.target.closest("[data-handle]");
  if (!handle || event.button !== 0) return;
  const row = handle.closest("[data-row]");
  const list = row.parentElement;
  const before = [...list.children].indexOf(row);
  event.preventDefault();
  handle.setPointerCapture(event.pointerId);
  row.dataset.dragged = "";
  const move = (at) => {
    for (const other of list.children) {
      if (other === row) continue;
      const box = other.getBoundingClientRect();
      const above = at.clientY < box.top + box.height / 2;
      const isBefore = Boolean(row.compareDocumentPosition(other) & Node.DOCUMENT_POSITION_PRECEDING);
      if (above && isBefore) return list.insertBefore(row, other);
      if (!above && !isBefore && at.clientY > box.top) other.after(row);
    }
  };
  const end = () => {
    handle.removeEventListener("pointermove", move);
    delete row.dataset.dragged;
    if ([...list.children].indexOf(row) !== before) row.dispatchEvent(new Event("change", { bubbles: true }));
  };
  handle.addEventListener("pointermove", move);
  handle.addEventListener("pointerup", end, { once: true });
  handle.addEventListener("pointercancel", end, { once: true });
});
