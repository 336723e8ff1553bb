// Choosing several rows: one box for all of them, and a count. Without it each box is ticked by hand.
const form = document.querySelector("[data-bulk]");
if (form) {
  const boxes = [...document.querySelectorAll(`input[type="checkbox"][form="${form.id}"]`)];
  const all = form.querySelector("[data-bulk-all]");
  const note = form.querySelector("[data-bulk-note]");
  const buttons = [...form.querySelectorAll("button")];
  const rest = note.textContent;
  const show = () => {
    const chosen = boxes.filter((box) => box.checked).length;
    const box = all.querySelector("input");
    box.checked = chosen > 0 && chosen === boxes.length;
    box.indeterminate = chosen > 0 && chosen < boxes.length;
    note.textContent = chosen === 0 ? rest : `${chosen} chosen`;
    for (const button of buttons) button.toggleAttribute("disabled", chosen === 0);
  };
  all.hidden = false;
  all.querySelector("input").addEventListener("change", (event) => {
    for (const box of boxes) box.checked = event.target.checked;
    show();
  });
  for (const box of boxes) box.addEventListener("change", show);
  // Whoever comes back finds the boxes as the browser kept them.
  addEventListener("pageshow", show);
  show();
}
