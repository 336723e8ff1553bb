// Copy buttons: `data-copy="#id"` copies the text of that element and says so, to eyes and to screen readers.
const RESET_MS = 2000;

function announcer() {
  let region = document.getElementById("announcer");
  if (!region) {
    region = document.createElement("div");
    region.id = "announcer";
    region.className = "visually-hidden";
    region.setAttribute("aria-live", "polite");
    document.body.append(region);
  }
  return region;
}

async function write(source) {
  const text = source.textContent.trim();
  if (navigator.clipboard && window.isSecureContext) {
    await navigator.clipboard.writeText(text);
    return;
  }
  // Plain http on another machine has no clipboard API; a selection still copies.
  const range = document.createRange();
  range.selectNodeContents(source);
  const selection = getSelection();
  selection.removeAllRanges();
  selection.addRange(range);
  if (!document.execCommand("copy")) throw new Error("copy refused");
}

function say(button, text) {
  const label = button.querySelector("[data-copy-label]");
  announcer().textContent = text;
  if (!label) return;
  label.dataset.rest ??= label.textContent;
  label.textContent = text;
  clearTimeout(button.copyTimer);
  button.copyTimer = setTimeout(() => {
    label.textContent = label.dataset.rest;
    announcer().textContent = "";
  }, RESET_MS);
}

for (const button of document.querySelectorAll("[data-copy]")) button.hidden = false;

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const source = document.querySelector(button.dataset.copy);
  if (!source) return;
  try {
    await write(source);
    say(button, "Copied");
    button.dispatchEvent(new CustomEvent("farebox:copied", { bubbles: true }));
  } catch {
    say(button, "Select and copy by hand");
  }
});
