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
  const over = new AbortController();
  const end = () => {
    over.abort();
    delete row.dataset.dragged;
    if ([...list.children].indexOf(row) !== before) row.dispatchEvent(new Event("change", { bubbles: true }));
  };
  // On the document: whatever captures a pointer lets go of it when it is moved in the page, as the row is.
  document.addEventListener("pointermove", move, { signal: over.signal });
  document.addEventListener("pointerup", end, { signal: over.signal });
  document.addEventListener("pointercancel", end, { signal: over.signal });
});

// A row that is taken out takes the focus along: the field that adds another one to the same list gets it.
document.addEventListener("htmx:afterSettle", (event) => {
  // As an attribute: a field of a form that is called `id` stands before it.
  const list = event.detail.requestConfig?.elt.getAttribute("id")?.match(/^([a-z_]+)-drop-/)?.[1];
  const lost = !document.activeElement || document.activeElement === document.body;
  if (list && lost) document.getElementById(`${list}_new`)?.focus();
});
