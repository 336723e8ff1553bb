// What the room does around its conversations: small things of the page and of the browser.
const $ = (id) => document.getElementById(id);

// The balance at the top of every page is a little less now.
export function balance({ available, available_exact: exact }) {
  const shown = document.querySelector("#org-balance .num");
  if (!shown) return;
  shown.textContent = available;
  shown.title = exact;
}

export function remembered(name) {
  try {
    return localStorage.getItem(`farebox-chat-${name}`);
  } catch {
    return null;
  }
}

export function remember(name, value) {
  try {
    localStorage.setItem(`farebox-chat-${name}`, value);
  } catch {
    // The next visit begins with the default.
  }
}

export function ago(at) {
  const minutes = Math.floor((Date.now() - at) / 60_000);
  if (minutes < 1) return "just now";
  if (minutes < 60) return `${minutes} min ago`;
  if (minutes < 24 * 60) return `${Math.floor(minutes / 60)} h ago`;
  return new Date(at).toLocaleDateString(document.documentElement.lang || undefined, { day: "numeric", month: "short" });
}

export async function copy(text, from) {
  try {
    await navigator.clipboard.writeText(text);
    from.lastChild.textContent = "Copied";
  } catch {
    from.lastChild.textContent = "Select and copy by hand";
  }
  setTimeout(() => {
    from.lastChild.textContent = "Copy";
  }, 2_000);
}

export function grow() {
  const text = $("chat-text");
  if (CSS.supports("field-sizing", "content")) return;
  text.rows = Math.min(10, text.value.split("\n").length);
}
