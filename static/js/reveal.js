// A key is shown once. Leaving before it was copied, or before the box was ticked, asks first.
const ticket = document.querySelector("[data-reveal]");
if (ticket) {
  let safe = false;
  const box = document.querySelector("[data-reveal-saved]");
  const done = document.querySelector("[data-reveal-done]");
  const gate = () => {
    if (!done) return;
    if (safe) done.removeAttribute("aria-disabled");
    else done.setAttribute("aria-disabled", "true");
  };
  const settle = () => {
    safe = true;
    if (box) box.checked = true;
    gate();
  };
  // Copying by button or by selecting the key both count.
  ticket.addEventListener("farebox:copied", settle);
  ticket.addEventListener("copy", settle);
  ticket.querySelector("[data-reveal-kept]")?.addEventListener("click", settle);
  box?.addEventListener("change", () => {
    safe = box.checked;
    gate();
  });
  done?.addEventListener("click", (event) => {
    if (safe) return;
    event.preventDefault();
    box?.focus();
  });
  addEventListener("beforeunload", (event) => {
    if (!safe) event.preventDefault();
  });
  gate();
}
